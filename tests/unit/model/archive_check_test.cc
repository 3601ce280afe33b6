#include "server/model/archive_check.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

constexpr const char* kModels[] = {
    CALSERVE_SOURCE_DIR "/tests/fixtures/models/torchscript/nan_logits.pt",
    CALSERVE_SOURCE_DIR "/examples/fashion_mnist/models/fashion_mnist/1/model.pt",
    CALSERVE_SOURCE_DIR "/tests/fixtures/models/fashion_mnist_pt2/1/model.pt2",
};

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string FileOf(const std::string& content) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/archive_check_test.", getpid());
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

TEST(ArchiveCheckTest, WhatPyTorchWroteIsWhole) {
  for (const char* model : kModels) EXPECT_TRUE(CheckArchive(model).ok()) << CheckArchive(model);
}

// As a download in parts leaves it, whose last part came before the middle.
TEST(ArchiveCheckTest, AHoleIsNamedByItsPart) {
  for (const char* model : kModels) {
    std::string content = Read(model);
    const size_t hole = content.size() / 4;
    content.replace(content.size() / 2, hole, hole, '\0');
    const absl::Status status = CheckArchive(FileOf(content));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << model;
    EXPECT_THAT(std::string(status.message()), HasSubstr("is damaged, or not fully copied yet: its "));
  }
}

TEST(ArchiveCheckTest, AByteOfTheWeightsIsEnough) {
  std::string content = Read(kModels[1]);
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
  EXPECT_THAT(std::string(CheckArchive(FileOf(content)).message()), HasSubstr("is not as its checksum says"));
}

TEST(ArchiveCheckTest, OfWhatIsNoArchiveTheLoaderSaysMore) {
  const std::string content = Read(kModels[0]);
  EXPECT_TRUE(CheckArchive(FileOf("a text")).ok());
  EXPECT_TRUE(CheckArchive(FileOf(content.substr(0, content.size() / 2))).ok());
  EXPECT_TRUE(CheckArchive("/nonexistent/model.pt").ok());
}

// A hole of 4 GiB before a package with damage, which is found without the hole: as a package of that size
// looks to minizip. Whatever it says of one, LibTorch may well load it.
TEST(ArchiveCheckTest, WhatIsTooLargeToReadIsLetPass) {
  std::string content = Read(kModels[2]);
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
  const std::string path = FileOf(content);
  EXPECT_FALSE(CheckArchive(path).ok());
  std::ofstream file(path, std::ios::binary);
  file.seekp(int64_t{1} << 32);
  file << content;
  file.close();
  EXPECT_TRUE(CheckArchive(path).ok()) << CheckArchive(path);
  EXPECT_GT(UnpackedBytes(path, 4096), int64_t{1} << 32);
  std::remove(path.c_str());
}

// Of its seven parts three are unpacked, of 133, 133 and 699,064 bytes as unzip -l says, to eight folders at
// most.
TEST(ArchiveCheckTest, WhatIsUnpackedTakesWholeBlocks) {
  EXPECT_EQ(UnpackedBytes(kModels[2], 1), 133 + 133 + 699'064 + 8);
  EXPECT_EQ(UnpackedBytes(kModels[2], 4096), (1 + 1 + 171 + 8) * 4096);
  EXPECT_EQ(UnpackedBytes(kModels[1], 4096), 0) << "a TorchScript model is not unpacked";
  EXPECT_EQ(UnpackedBytes(FileOf("this is no model"), 4096), 0);
  EXPECT_EQ(UnpackedBytes(FileOf(Read(kModels[2]).substr(1000)), 4096), 0);
}

}  // namespace
}  // namespace calserve
