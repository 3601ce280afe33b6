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

TEST(FileTest, NamesTheFileInErrors) {
  EXPECT_TRUE(absl::IsNotFound(ReadWholeFile("/no/such/file").status()));
  EXPECT_THAT(ReadWholeFile("/no/such/file").status().message(), HasSubstr("/no/such/file"));
  EXPECT_FALSE(ReadWholeFile("/tmp").ok());
  EXPECT_THAT(WriteWholeFile("/no/such/file", "").message(), HasSubstr("/no/such/file"));
}

}  // namespace
}  // namespace calserve
