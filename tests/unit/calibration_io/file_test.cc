#include "calibration_io/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace calserve {
namespace {

using ::testing::HasSubstr;

TEST(FileTest, ReplacesAFileWholeAndReadsItBack) {
  const std::string path = ::testing::TempDir() + "/file_test.bin";
  const std::string content(200'000, '\x80');
  ASSERT_TRUE(WriteWholeFile(path, "old").ok());
  ASSERT_TRUE(WriteWholeFile(path, content).ok());
  EXPECT_EQ(*ReadWholeFile(path), content);
  EXPECT_EQ(*ReadWholeFile(path, 200'000), content);
  EXPECT_THAT(ReadWholeFile(path, 199'999).status().message(),
              HasSubstr("larger than the limit of 199999 bytes"));
  std::filesystem::remove(path);
}

TEST(FileTest, WritesThroughALinkAndKeepsAFilesMode) {
  namespace fs = std::filesystem;
  const std::string path = ::testing::TempDir() + "/file_test_target", link = path + "_link";
  fs::remove(link);
  ASSERT_TRUE(WriteWholeFile(path, "old").ok());
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink(path, link);
  ASSERT_TRUE(WriteWholeFile(link, "new").ok());
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(*ReadWholeFile(path), "new");
  ASSERT_TRUE(WriteWholeFile(path, "newer").ok());
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_FALSE(WriteWholeFile("/dev/full", "x").ok());
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
  fs::remove(link);
  fs::remove(path);
}

TEST(FileTest, NamesTheFileInErrors) {
  EXPECT_TRUE(absl::IsNotFound(ReadWholeFile("/no/such/file").status()));
  EXPECT_THAT(ReadWholeFile("/no/such/file").status().message(), HasSubstr("/no/such/file"));
  EXPECT_FALSE(ReadWholeFile("/tmp").ok());
  EXPECT_THAT(WriteWholeFile("/no/such/file", "").message(), HasSubstr("/no/such/file"));
}

}  // namespace
}  // namespace calserve
