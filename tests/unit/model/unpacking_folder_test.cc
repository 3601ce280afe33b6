#include "server/model/unpacking_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

namespace fs = std::filesystem;

class UnpackingFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* const named = getenv("TMPDIR"); named != nullptr) before_ = named;
    std::string made = ::testing::TempDir() + "/unpacking_folder_test-XXXXXX";
    ASSERT_NE(mkdtemp(made.data()), nullptr);
    directory_ = made;
    setenv("TMPDIR", directory_.c_str(), 1);
  }
  ~UnpackingFolderTest() override {
    fs::remove_all(directory_);
    unsetenv("TMPDIR");
    if (before_.has_value()) setenv("TMPDIR", before_->c_str(), 1);
  }

  // As a process that was killed leaves it.
  fs::path Left(const std::string& name) const {
    const fs::path folder = directory_ / name;
    fs::create_directories(folder / "aotinductor_1/data");
    std::ofstream(folder / "aotinductor_1/data/model.so") << "code";
    return folder;
  }

  fs::path directory_;
  std::optional<std::string> before_;
};

TEST_F(UnpackingFolderTest, IsWhereTmpdirPointsAndGoesWithItsOwner) {
  fs::path path;
  {
    const auto folder = UnpackingFolder::Create();
    ASSERT_TRUE(folder.ok()) << folder.status();
    path = folder->path();
    EXPECT_EQ(path.parent_path(), directory_);
    EXPECT_EQ(getenv("TMPDIR"), path);
    EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_all);
    std::ofstream(path / "unpacked") << "a package";
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(UnpackingFolderTest, WhatAKilledProcessLeftIsRemovedAndNothingElse) {
  const fs::path left = Left("calserve-unpacked-abcdef"), of_another = Left("aotinductor_2");
  const fs::path not_locked_yet = directory_ / "calserve-unlocked-abcdef";
  fs::create_directories(not_locked_yet);
  fs::create_directory_symlink(of_another, directory_ / "calserve-unpacked-linked");
  const auto folder = UnpackingFolder::Create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(of_another / "aotinductor_1/data/model.so"));
  EXPECT_TRUE(fs::exists(not_locked_yet)) << "perhaps somebody is making it";
}

TEST_F(UnpackingFolderTest, ThatOfAProcessThatLivesStays) {
  const fs::path of_another = Left("calserve-unpacked-abcdef");
  const int lock = open(of_another.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  ASSERT_TRUE(UnpackingFolder::Create().ok());
  EXPECT_TRUE(fs::exists(of_another));
  close(lock);
}

TEST_F(UnpackingFolderTest, IsMadeAgainWhereItWasRemovedAndLockedAgain) {
  EXPECT_TRUE(MakeUnpackingFolderAgain().ok()) << "there was none";
  const auto folder = UnpackingFolder::Create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_TRUE(MakeUnpackingFolderAgain().ok()) << "it is there";
  fs::remove_all(folder->path());
  EXPECT_TRUE(MakeUnpackingFolderAgain().ok());
  EXPECT_TRUE(fs::exists(folder->path()));
  const int lock = open(folder->path().c_str(), O_RDONLY | O_DIRECTORY);
  EXPECT_NE(flock(lock, LOCK_EX | LOCK_NB), 0) << "nobody else may remove it";
  close(lock);
}

TEST_F(UnpackingFolderTest, ADirectoryThatIsNotThereIsNamedAndTmpdirStays) {
  const std::string missing = (directory_ / "missing").string();
  setenv("TMPDIR", missing.c_str(), 1);
  const absl::Status status = UnpackingFolder::Create().status();
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("cannot make a folder in " + missing));
  EXPECT_EQ(getenv("TMPDIR"), missing);
}

// Where there is too little: repository_test.
TEST_F(UnpackingFolderTest, WhatThereIsRoomForOrNobodyKnowsIsLetPass) {
  EXPECT_TRUE(
      CheckRoomToUnpack(CALSERVE_SOURCE_DIR "/tests/fixtures/models/fashion_mnist_pt2/1/model.pt2").ok());
  EXPECT_TRUE(CheckRoomToUnpack("/there/is/none.pt2").ok());
  setenv("TMPDIR", "/there/is/none", 1);
  EXPECT_TRUE(CheckRoomToUnpack("/there/is/none.pt2").ok());
}

}  // namespace
}  // namespace calserve
