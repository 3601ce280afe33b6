#include "server/feedback/key_ring.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/unit/feedback/feedback_testing.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kKeyA(64, 'a');
const std::string kKeyB(64, 'B');

absl::Status ParseError(const std::string& text) { return KeyRing::Parse(text).status(); }

TEST(KeyRingTest, TheNewestKeyThatMaySealSeals) {
  const KeyRing ring =
      *KeyRing::Parse(absl::StrCat("# comment\n\n00000000000000ff\t", kKeyA, "  2026-03-01T00:00:00Z\r\n",
                                   "  0000000000000001 ", kKeyB, " 2026-02-01T01:00:00+01:00\n"));
  const absl::Time february = absl::FromCivil(absl::CivilDay(2026, 2, 1), absl::UTCTimeZone());
  const absl::Time march = absl::FromCivil(absl::CivilDay(2026, 3, 1), absl::UTCTimeZone());
  EXPECT_EQ(ring.Sealing(february).id, 1u);
  EXPECT_EQ(ring.Sealing(march - absl::Nanoseconds(1)).id, 1u);
  EXPECT_EQ(ring.Sealing(march).id, 255u);
  EXPECT_EQ(ring.Sealing(absl::UnixEpoch()).id, 1u) << "a clock set back must not stop predictions";
  EXPECT_EQ(ring.Find(255)->key[0], 0xaa);
  EXPECT_EQ(ring.Find(1)->key[31], 0xbb);
  EXPECT_EQ(ring.Find(2), nullptr);
}

TEST(KeyRingTest, ErrorsNameTheLineAndTheRule) {
  const std::string good = absl::StrCat("00000000000000ff ", kKeyA, " 2026-03-01T00:00:00Z\n");
  EXPECT_THAT(ParseError("# nothing\n"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no key")));
  EXPECT_THAT(ParseError(good + "00ff x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line 2: want ID")));
  EXPECT_THAT(ParseError(absl::StrCat("ff ", kKeyA, " 2026-03-01T00:00:00Z")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ID must be 16 hex digits")));
  EXPECT_THAT(ParseError(absl::StrCat("00000000000000ff ", kKeyA, "a 2026-03-01T00:00:00Z")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("64 hex digits; it has 65"), Not(HasSubstr("aaaa")))));
  EXPECT_THAT(ParseError(absl::StrCat("00000000000000ff ", kKeyA, " yesterday")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("was yesterday")));
  EXPECT_THAT(ParseError(good + good), StatusIs(absl::StatusCode::kInvalidArgument,
                                                HasSubstr("line 2: the id 00000000000000ff is there twice")));
}

class KeyRingFileTest : public ::testing::Test {
 protected:
  void Write(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path_) << text;
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
  }
  absl::Status Error() { return ReadKeyRing(path_, kStart).status(); }

  const TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/keys";
};

TEST_F(KeyRingFileTest, AMadeFileIsPrivateAndCanSealAtOnce) {
  ASSERT_TRUE(CreateKeyRing(path_, kStart).ok());
  struct stat info;
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  const absl::StatusOr<KeyRingFile> file = ReadKeyRing(path_, kStart);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->ring.keys().size(), 1u);
  EXPECT_EQ(file->version, *GetFileVersion(path_));
}

TEST_F(KeyRingFileTest, MadeKeysDiffer) {
  ASSERT_TRUE(CreateKeyRing(path_, kStart).ok());
  const KeyRing first = ReadKeyRing(path_, kStart)->ring;
  ASSERT_TRUE(CreateKeyRing(path_, kStart).ok());
  const KeyRing second = ReadKeyRing(path_, kStart)->ring;
  EXPECT_NE(first.keys()[0].id, second.keys()[0].id);
  EXPECT_NE(first.keys()[0].key, second.keys()[0].key);
}

TEST(KeepsSecretTest, LetsAGroupReadOnlyWhatAnotherUserOwns) {
  constexpr uint32_t kRoot = 0, kServer = 65532;
  EXPECT_TRUE(KeepsSecret(0600, kServer, kServer));
  EXPECT_TRUE(KeepsSecret(0440, kRoot, kServer));  // as Kubernetes mounts a secret with fsGroup
  EXPECT_TRUE(KeepsSecret(0640, kRoot, kServer));
  EXPECT_FALSE(KeepsSecret(0440, kServer, kServer));
  EXPECT_FALSE(KeepsSecret(0660, kRoot, kServer));
  EXPECT_FALSE(KeepsSecret(0644, kRoot, kServer));
  EXPECT_FALSE(KeepsSecret(0604, kServer, kServer));
}

TEST_F(KeyRingFileTest, AFileThatOthersCanReadIsRefused) {
  const std::string good = absl::StrCat("00000000000000ff ", kKeyA, " 2026-03-01T00:00:00Z\n");
  for (const mode_t mode : {0640, 0604, 0660, 0644}) {
    Write(good, mode);
    EXPECT_THAT(Error(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("chmod 600 " + path_)))
        << mode;
  }
  Write(good, 0400);
  EXPECT_TRUE(Error().ok()) << Error();
}

TEST_F(KeyRingFileTest, ErrorsNameTheFile) {
  EXPECT_THAT(Error(), StatusIs(absl::StatusCode::kNotFound, HasSubstr(path_)));
  Write("rubbish\n");
  EXPECT_THAT(Error(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(path_ + ": line 1: want ID")));
  Write(absl::StrCat("00000000000000ff ", kKeyA, " 2099-01-01T00:00:00Z\n"));
  EXPECT_THAT(Error(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no key that may seal yet")));
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_THAT(Error(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("regular file")));
  std::filesystem::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);  // Not waited for.
  EXPECT_THAT(Error(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("regular file")));
}

}  // namespace
}  // namespace calserve
