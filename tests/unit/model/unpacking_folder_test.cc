#include "server/model/unpacking_folder.h"

#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

namespace fs = std::filesystem;

class UnpackingFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string made = ::testing::TempDir() + "/unpacking_folder_test-XXXXXX";
    ASSERT_NE(mkdtemp(made.data()), nullptr);
    directory_ = made;
    setenv("TMPDIR", directory_.c_str(), 1);
  }
  ~UnpackingFolderTest() override {
    fs::remove_all(directory_);
    unsetenv("TMPDIR");
  }

  // As a process that was killed leaves it.
  fs::path Left(const std::string& name) const {
    const fs::path folder = directory_ / name;
    fs::create_directories(folder / "aotinductor_1/data");
    std::ofstream(folder / "aotinductor_1/data/model.so") << "code";
    std::ofstream(folder / "lock");
    return folder;
  }

  fs::path directory_;
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
  const fs::path without_lock = directory_ / "calserve-unpacked-nolock";
  fs::create_directories(without_lock);
  fs::create_directory_symlink(of_another, directory_ / "calserve-unpacked-linked");
  const auto folder = UnpackingFolder::Create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(of_another / "aotinductor_1/data/model.so"));
  EXPECT_TRUE(fs::exists(without_lock)) << "perhaps somebody is making it";
}

TEST_F(UnpackingFolderTest, ThatOfAProcessThatLivesStays) {
  const auto first = UnpackingFolder::Create();
  ASSERT_TRUE(first.ok()) << first.status();
  setenv("TMPDIR", directory_.c_str(), 1);
  const auto second = UnpackingFolder::Create();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(first->path(), second->path());
  EXPECT_TRUE(fs::exists(first->path()));
}

TEST_F(UnpackingFolderTest, ADirectoryThatIsNotThereIsNamedAndTmpdirStays) {
  const std::string missing = (directory_ / "missing").string();
  setenv("TMPDIR", missing.c_str(), 1);
  const absl::Status status = UnpackingFolder::Create().status();
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("cannot make a folder in " + missing));
  EXPECT_EQ(getenv("TMPDIR"), missing);
}

}  // namespace
}  // namespace calserve
