#include "server/access/token_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// printf %s abc | sha256sum
constexpr char kAbc[] = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(TokenFileTest, ATokenIsFoundByWhatSha256sumSaysOfIt) {
  const auto file = TokenFile::Parse(absl::StrCat("# clients\n\n grafana\tread ", kAbc, "\n"));
  ASSERT_TRUE(file.ok()) << file.status();
  const TokenFile::Entry* const found = file->Find(DigestOf("abc"));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->name, "grafana");
  EXPECT_EQ(found->roles, Roles(Role::kRead));
  EXPECT_EQ(file->Find(DigestOf("abd")), nullptr);
  EXPECT_EQ(file->Find(DigestOf("")), nullptr);
}

TEST(TokenFileTest, AMadeTokenIsRandomAndFitsItsLine) {
  const auto one = MakeToken("app=predict,feedback"), other = MakeToken("app=predict");
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_NE(one->token, other->token);
  EXPECT_THAT(one->token, SizeIs(9 + 43));
  EXPECT_THAT(one->line, AllOf(HasSubstr("app predict,feedback sha256:"), Not(HasSubstr(one->token))));
  const auto file = TokenFile::Parse(absl::StrCat(one->line, "\n", other->line, "\n"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->Find(DigestOf(one->token))->roles.Has(Role::kFeedback));
  EXPECT_FALSE(file->Find(DigestOf(other->token))->roles.Has(Role::kFeedback));
}

TEST(TokenFileTest, NoBitOfATokenIsLeftOut) {
  const auto made = MakeToken("app=admin");
  const auto file = TokenFile::Parse(made->line);
  for (size_t bit = 0; bit < 8 * made->token.size(); ++bit) {
    std::string flipped = made->token;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(file->Find(DigestOf(flipped)), nullptr) << bit;
  }
}

TEST(TokenFileTest, AWrongLineIsNamedWithoutItsDigest) {
  const std::string good = absl::StrCat("a read ", kAbc, "\n");
  const struct {
    std::string text;
    const char* rule;
  } cases[] = {{good + "b read", "line 2: want NAME ROLE,ROLE sha256:HEX; found 2 fields"},
               {good + good, "line 2: the token is there already"},
               {absl::StrCat("a=b read ", kAbc), "line 1: a token's name must be 1 to 64"},
               {absl::StrCat("a root ", kAbc), "line 1: a role is predict, feedback, read or admin"},
               {absl::StrCat("a read ", kAbc, "00"), "line 1: the third field must be sha256:"},
               {"a read md5:900150983cd24fb0d6963f7d28e17f72", "line 1: the third field must be sha256:"}};
  for (const auto& [text, rule] : cases) {
    const absl::Status status = TokenFile::Parse(text).status();
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(rule), Not(HasSubstr("ba7816"))));
  }
}

TEST(TokenFileTest, AWrongSpecificationIsRefused) {
  for (const char* spec : {"", "app", "app=", "=read", "a b=read", "app=root"}) {
    EXPECT_EQ(MakeToken(spec).status().code(), absl::StatusCode::kInvalidArgument) << spec;
  }
}

}  // namespace
}  // namespace calserve
