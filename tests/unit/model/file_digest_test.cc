#include "server/model/file_digest.h"

#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace calserve {
namespace {

std::string FileOf(const std::string& content) {
  const std::string path = ::testing::TempDir() + "/file_digest_test";
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

// FIPS 180-2, appendix B.
TEST(FileDigestTest, MatchesTheStandardsExamples) {
  EXPECT_EQ(*FileDigest(FileOf("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(*FileDigest(FileOf(std::string(1000000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(FileDigestTest, ReadsFilesLargerThanItsBuffer) {
  EXPECT_NE(*FileDigest(FileOf(std::string(3 << 20, 'a'))),
            *FileDigest(FileOf(std::string((3 << 20) + 1, 'a'))));
}

TEST(FileDigestTest, AVersionIsItsFileAndItsClassNamesInTheirOrder) {
  // printf 'f11e\ncat\ndog' | sha256sum
  EXPECT_EQ(VersionDigest("f11e", {"cat", "dog"}),
            "5eff6a119f104627b5148469562c1b4a5b3b3fc0ed786b05abea50fdcf4dd67f");
  EXPECT_NE(VersionDigest("f11e", {"dog", "cat"}), VersionDigest("f11e", {"cat", "dog"}));
}

TEST(FileDigestTest, AMissingFileIsNotFound) {
  EXPECT_EQ(FileDigest("/nonexistent/model.pt").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace calserve
