#include "server/model/unpacking_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <unzip.h>
#include <zip.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/model.h"
#include "tests/end_to_end/small_disk.h"
#include "tests/unit/model/model_fixtures.h"

namespace calserve {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

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

  static std::set<std::string> Entries(const fs::path& folder) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
    return names;
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

struct Part {
  std::string name, content;
  std::optional<uint64_t> stated;  // as its size; else that of its content
};
void WriteArchive(const std::string& path, const std::vector<Part>& parts) {
  const zipFile archive = zipOpen64(path.c_str(), APPEND_STATUS_CREATE);
  for (const Part& part : parts) {
    zipOpenNewFileInZip2_64(archive, part.name.c_str(), nullptr, nullptr, 0, nullptr, 0, nullptr,
                            part.stated.has_value() ? Z_DEFLATED : 0, 0, part.stated.has_value() ? 1 : 0, 1);
    zipWriteInFileInZip(archive, part.content.data(), static_cast<unsigned>(part.content.size()));
    if (part.stated.has_value()) {
      zipCloseFileInZipRaw64(archive, *part.stated, 0);
    } else {
      zipCloseFileInZip(archive);
    }
  }
  zipClose(archive, nullptr);
}
// The compiled demo model with something else for its library.
void WriteWithLibrary(const std::string& path, const std::string& library) {
  std::vector<Part> parts;
  const unzFile package = unzOpen64(DemoPackage().c_str());
  for (int found = unzGoToFirstFile(package); found == UNZ_OK; found = unzGoToNextFile(package)) {
    unz_file_info64 info;
    char name[512] = "";
    unzGetCurrentFileInfo64(package, &info, name, sizeof(name) - 1, nullptr, 0, nullptr, 0);
    std::string content(info.uncompressed_size, '\0');
    unzOpenCurrentFile(package);
    unzReadCurrentFile(package, content.data(), static_cast<unsigned>(content.size()));
    unzCloseCurrentFile(package);
    parts.push_back({name, absl::EndsWith(name, ".so") ? library : content, {}});
  }
  unzClose(package);
  WriteArchive(path, parts);
}

// Sixteen terabytes by its list of parts, of which no byte is there.
std::vector<Part> LargeParts(const std::string& prefix) {
  std::vector<Part> parts;
  for (int i = 0; i < 4096; ++i) parts.push_back({absl::StrCat(prefix, i), "", (uint64_t{1} << 32) - 4096});
  return parts;
}

TEST_F(UnpackingFolderTest, WhatThereIsNoRoomForIsRefused) {
  const std::string package = directory_ / "large.pt2";
  WriteArchive(package, LargeParts("m/data/aotinductor/model/"));
  const auto folder = UnpackingFolder::Create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  const absl::Status status = CheckRoomToUnpack(package);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(StartsWith(directory_.string() + " (TMPDIR) has "),
                    HasSubstr("large.pt2 takes 17592169299968 bytes there once it is unpacked"),
                    HasSubstr(" bytes there once it is unpacked")));
  // Where nobody knows what there is, it is tried.
  setenv("TMPDIR", "/there/is/none", 1);
  EXPECT_TRUE(CheckRoomToUnpack(package).ok());
}

TEST_F(UnpackingFolderTest, WhatIsNotUnpackedNeedsNoRoom) {
  const std::string package = directory_ / "other.pt2";
  for (const char* prefix :
       {"m/data/weights/", "m/data/aotinductor/other/", "data/aotinductor/model/", "m"}) {
    WriteArchive(package, LargeParts(prefix));
    EXPECT_TRUE(CheckRoomToUnpack(package).ok()) << CheckRoomToUnpack(package);
  }
  WriteArchive(package, LargeParts("m/data/constants/"));
  EXPECT_FALSE(CheckRoomToUnpack(package).ok());
}

TEST_F(UnpackingFolderTest, WhatThereIsRoomForOrNobodyKnowsIsLetPass) {
  EXPECT_TRUE(CheckRoomToUnpack(DemoPackage()).ok()) << CheckRoomToUnpack(DemoPackage());
  EXPECT_TRUE(CheckRoomToUnpack("/there/is/none.pt2").ok());
}

TEST_F(UnpackingFolderTest, ALoadThatFailsLeavesNothing) {
  const std::string package = directory_ / "broken.pt2";
  WriteWithLibrary(package, "no library");
  const auto folder = UnpackingFolder::Create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  fs::create_directory(fs::path(folder->path()) / "of_a_model_that_serves");
  const auto model = LoadModel(OptionsFor(package));
  EXPECT_TRUE(absl::IsInvalidArgument(model.status())) << model.status();
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("that can be loaded here"));
  EXPECT_EQ(Entries(folder->path()), std::set<std::string>{"of_a_model_that_serves"});
}

TEST_F(UnpackingFolderTest, OnlyAFolderOfItsOwnIsClearedAfterALoadThatFails) {
  Unpacking unpacking;
  fs::create_directory(directory_ / "of_another_program");
  const absl::Status why = absl::InvalidArgumentError("it is no package");
  EXPECT_EQ(unpacking.Failed(why), why);
  EXPECT_TRUE(fs::exists(directory_ / "of_another_program"));
}

TEST_F(UnpackingFolderTest, ALoadThatFailsForWantOfRoomSaysSo) {
  e2e::SmallDisk disk(1 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "needs root: a small file system has to be mounted";
  setenv("TMPDIR", disk.path().c_str(), 1);
  const auto folder = UnpackingFolder::Create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  Unpacking unpacking;
  fs::create_directory(fs::path(folder->path()) / "aotinductor_2");
  disk.Fill();
  const absl::Status status = unpacking.Failed(absl::InvalidArgumentError("it is no package"));
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(StartsWith(disk.path() + " (TMPDIR) was full"), HasSubstr("(it is no package)")));
  EXPECT_TRUE(Entries(folder->path()).empty());
}

}  // namespace
}  // namespace calserve
