#include "server/config/regular_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/unit/config/temp_dir.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class RegularFileTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }
  std::string ErrorOf(const std::string& name) const {
    const absl::Status status = CheckRegularFile(Path(name));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }

  TempDir dir_;
};

TEST_F(RegularFileTest, OrALinkToOneIsRight) {
  dir_.Write("file", "");
  fs::create_symlink("file", Path("link"));
  fs::create_symlink("link", Path("link to it"));
  for (const char* name : {"file", "link", "link to it"}) {
    EXPECT_TRUE(CheckRegularFile(Path(name)).ok()) << name;
  }
}

TEST_F(RegularFileTest, NothingIsNotFound) {
  EXPECT_EQ(CheckRegularFile(Path("none")).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(CheckRegularFile(Path("none/none")).code(), absl::StatusCode::kNotFound);
}

TEST_F(RegularFileTest, WhatIsThereInsteadIsNamed) {
  fs::create_symlink("gone", Path("dangling"));
  fs::create_symlink("loop", Path("loop"));
  fs::create_symlink("/dev/zero", Path("device"));
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(ErrorOf("dangling"), HasSubstr("/dangling is a link to nothing: there is no gone"));
  EXPECT_THAT(ErrorOf("loop"), HasSubstr("/loop is a link that leads back to itself"));
  EXPECT_THAT(ErrorOf("loop/file"), HasSubstr("/loop/file cannot be looked at: Too many levels"));
  EXPECT_THAT(ErrorOf("device"), HasSubstr("/device is not a regular file"));
  EXPECT_THAT(ErrorOf("pipe"), HasSubstr("/pipe is not a regular file"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("is a directory, not a file"));
}

}  // namespace
}  // namespace calserve
