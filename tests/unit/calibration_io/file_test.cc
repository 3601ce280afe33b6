#include "calibration_io/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <utility>
#include <vector>

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

TEST(FileTest, RefusesWhatIsTooLarge) {
  const std::string path = ::testing::TempDir() + "/file_test_sparse";
  ASSERT_TRUE(WriteWholeFile(path, "").ok());
  std::filesystem::resize_file(path, uintmax_t{100} << 30);  // takes no room on the disk
  EXPECT_EQ(ReadWholeFile(path).status().message(), path + " is larger than the limit of 1 GiB");
  std::filesystem::remove(path);
}

// A named pipe without a writer would keep whoever opens it waiting.
TEST(FileTest, RefusesDevicesAndPipesUnread) {
  const std::string pipe = ::testing::TempDir() + "/file_test_pipe";
  std::filesystem::remove(pipe);
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& path : {pipe, std::string("/dev/zero")}) {
    const std::string rule = path + " is a device or a pipe; a regular file is needed";
    EXPECT_EQ(ReadRegularFile(path, 9).status(), absl::InvalidArgumentError(rule));
    EXPECT_EQ(ReadWholeFile(path).status().message(), rule + ", or - for standard input");
    EXPECT_EQ(LineReader::Open(path).status().message(), rule + ", or - for standard input");
  }
  EXPECT_TRUE(absl::IsNotFound(ReadRegularFile("-", 9).status()));
  std::filesystem::remove(pipe);
}

std::vector<std::string> Lines(const std::string& path) {
  std::vector<std::string> lines;
  absl::StatusOr<LineReader> reader = LineReader::Open(path);
  EXPECT_TRUE(reader.ok()) << reader.status();
  while (true) {
    const absl::StatusOr<std::optional<std::string>> line = reader->Next();
    EXPECT_TRUE(line.ok()) << line.status();
    if (!line.ok() || !line->has_value()) return lines;
    lines.push_back(**line);
  }
}

TEST(FileTest, GivesTheLinesOfAFile) {
  const std::string path = ::testing::TempDir() + "/file_test_lines";
  for (const auto& [content, lines] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"", {}}, {"\n", {""}}, {"a\n\nb\r\n", {"a", "", "b\r"}}, {"a\nb", {"a", "b"}}}) {
    ASSERT_TRUE(WriteWholeFile(path, content).ok());
    EXPECT_EQ(Lines(path), lines) << content;
  }
  std::filesystem::remove(path);
}

TEST(FileTest, RefusesALineThatNeverEndsAndALineOfAFolder) {
  const std::string path = ::testing::TempDir() + "/file_test_endless";
  ASSERT_TRUE(WriteWholeFile(path, "").ok());
  std::filesystem::resize_file(path, uintmax_t{1} << 30);
  absl::StatusOr<LineReader> endless = LineReader::Open(path);
  ASSERT_TRUE(endless.ok());
  EXPECT_EQ(endless->Next().status().message(), "line 1 of " + path + " is larger than the limit of 16 MiB");
  EXPECT_EQ(endless->Place(), path + ":1");
  std::filesystem::remove(path);
  EXPECT_TRUE(absl::IsNotFound(LineReader::Open("/no/such/file").status()));
  EXPECT_THAT(LineReader::Open("/tmp").status().message(), HasSubstr("/tmp is a folder"));
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
