#include "server/access/access_control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/access/token_file.h"
#include "server/base/error_info.h"
#include "tests/unit/access/test_keys.h"
#include "tests/unit/logging/captured_log.h"

namespace calserve {
namespace {

using test::TestKey;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class AccessControlTest : public ::testing::Test {
 protected:
  AccessControlTest()
      : dir_(absl::StrCat(::testing::TempDir(), "/access.", getpid(), ".",
                          ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(dir_);
  }
  ~AccessControlTest() override { std::filesystem::remove_all(dir_); }

  std::string Write(const std::string& name, const std::string& content, mode_t mode = 0640) const {
    const std::string path = dir_ + "/" + name;
    std::ofstream(path) << content;
    chmod(path.c_str(), mode);
    return path;
  }
  void Open(const AccessOptions& options) {
    auto made = AccessControl::Create(options, clock_, monotonic_);
    ASSERT_TRUE(made.ok()) << made.status();
    access_ = *std::move(made);
  }
  absl::StatusOr<Identity> Ask(const std::string& authorization, Roles any_of = Role::kRead,
                               const std::vector<std::string>& certificate = {}) const {
    return access_->Authorize({authorization, certificate}, any_of);
  }
  absl::StatusCode Code(const std::string& authorization, Roles any_of = Role::kRead,
                        const std::vector<std::string>& certificate = {}) const {
    return Ask(authorization, any_of, certificate).status().code();
  }

  const std::string dir_;
  ManualClock clock_{absl::FromUnixSeconds(500)};
  ManualMonotonicClock monotonic_;
  std::unique_ptr<AccessControl> access_;
};

TEST_F(AccessControlTest, WithoutConfigurationEverybodyMayDoEverything) {
  Open({});
  EXPECT_FALSE(access_->enabled());
  EXPECT_EQ(Ask("", Role::kAdmin)->name, "anonymous");
  EXPECT_EQ(Ask("Bearer whatever", Role::kAdmin)->name, "anonymous");
  EXPECT_EQ(Ask("", Role::kAdmin, {"app.example"})->name, "cert:app.example");
}

TEST_F(AccessControlTest, AStaticTokenMayDoWhatItsLineSaysAndNoMore) {
  const NewToken token = *MakeToken("app=predict");
  Open({.tokens_file = Write("tokens", token.line)});
  EXPECT_TRUE(access_->enabled());
  EXPECT_EQ(Ask("Bearer " + token.token, Role::kPredict)->name, "token:app");
  EXPECT_EQ(Ask("bearer   " + token.token, Roles::All())->name, "token:app");
  for (const Role other : {Role::kFeedback, Role::kRead, Role::kAdmin}) {
    const absl::Status denied = Ask("Bearer " + token.token, other).status();
    EXPECT_EQ(denied.code(), absl::StatusCode::kPermissionDenied);
    EXPECT_EQ(ErrorReason(denied), "ROLE_MISSING");
  }
}

TEST_F(AccessControlTest, WithoutAValidTokenNobodyIsAnybody) {
  const NewToken token = *MakeToken("app=predict");
  Open({.tokens_file = Write("tokens", token.line)});
  EXPECT_EQ(ErrorReason(Ask("").status()), "NO_CREDENTIALS");
  for (const std::string& header :
       {std::string("Bearer"), std::string("Bearer "), "Basic " + token.token, token.token,
        "Bearer " + token.token + "x", "Bearer " + token.line, "Bearer " + std::string(16384, 'a')}) {
    const absl::Status refused = Ask(header, Roles::All()).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kUnauthenticated) << header.substr(0, 20);
    EXPECT_THAT(std::string(refused.message()), Not(HasSubstr(token.token)));
  }
}

TEST_F(AccessControlTest, ATokenThatIsTakenOutOfTheFileStopsWorking) {
  const NewToken old = *MakeToken("app=read"), fresh = *MakeToken("app=read");
  const std::string path = Write("tokens", old.line);
  Open({.tokens_file = path});
  Write("tokens", absl::StrCat(old.line, "\n", fresh.line));
  access_->Reload();
  EXPECT_TRUE(Ask("Bearer " + old.token).ok() && Ask("Bearer " + fresh.token).ok());
  Write("tokens", fresh.line);
  access_->Reload();
  EXPECT_EQ(Code("Bearer " + old.token), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(Ask("Bearer " + fresh.token).ok());
}

TEST_F(AccessControlTest, AFileThatBecomesWrongOrGoesAwayLeavesWhatWasInForce) {
  const NewToken token = *MakeToken("app=read");
  const std::string path = Write("tokens", token.line);
  Open({.tokens_file = path});
  Write("tokens", "nonsense");
  access_->Reload();
  EXPECT_TRUE(Ask("Bearer " + token.token).ok());
  std::filesystem::remove(path);
  access_->Reload();
  EXPECT_TRUE(Ask("Bearer " + token.token).ok());
}

TEST_F(AccessControlTest, AFileWithoutTokensCountsAndIsSaid) {
  const CapturedLog said;
  const NewToken token = *MakeToken("app=read");
  const std::string path = Write("tokens", token.line);
  Open({.tokens_file = path});
  EXPECT_EQ(said.text(), "");
  Write("tokens", "# none left\n");
  access_->Reload();
  EXPECT_THAT(said.text(), HasSubstr("access.tokens_file holds no token: nobody can call with one"));
  EXPECT_EQ(Code("Bearer " + token.token), absl::StatusCode::kUnauthenticated);
}

TEST_F(AccessControlTest, AStartWithAWrongFileNamesIt) {
  const auto refusal = [this](const AccessOptions& options) {
    return std::string(AccessControl::Create(options, clock_, monotonic_).status().message());
  };
  EXPECT_THAT(refusal({.tokens_file = dir_ + "/none"}),
              AllOf(HasSubstr("access.tokens_file"), HasSubstr("none")));
  EXPECT_THAT(refusal({.tokens_file = Write("tokens", "x")}), HasSubstr("line 1"));
  EXPECT_THAT(refusal({.tokens_file = Write("open", MakeToken("a=read")->line, 0644)}),
              HasSubstr("can be read by everybody"));
  EXPECT_THAT(refusal({.jwks_file = "x"}), HasSubstr("access.jwt_issuer"));
  EXPECT_THAT(refusal({.jwt_issuer = "https://idp.example"}),
              AllOf(HasSubstr("access.jwt_issuer"), HasSubstr("needs access.jwks_file")));
  EXPECT_THAT(refusal({.jwt_audience = "calserve"}),
              AllOf(HasSubstr("access.jwt_audience"), HasSubstr("needs access.jwks_file")));
  EXPECT_THAT(refusal({.client_names = {"app"}}), HasSubstr("NAME=ROLE"));
  EXPECT_THAT(refusal({.client_names = {"app=root"}}), HasSubstr("was \"root\""));
}

TEST_F(AccessControlTest, ACertificateNameMayDoWhatTheConfigurationSays) {
  Open({.client_names = {"app.example=predict+feedback", "spiffe://x/ops=admin"}});
  EXPECT_EQ(Ask("", Role::kFeedback, {"other.example", "app.example"})->name, "cert:app.example");
  EXPECT_EQ(Ask("", Role::kRead, {"spiffe://x/ops"})->name, "cert:spiffe://x/ops");
  EXPECT_EQ(Code("", Role::kAdmin, {"app.example"}), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Code("", Role::kPredict, {"other.example"}), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Code("", Role::kPredict), absl::StatusCode::kUnauthenticated);
}

TEST_F(AccessControlTest, ABadTokenIsNotMadeGoodByACertificate) {
  const NewToken token = *MakeToken("app=read");
  Open({.tokens_file = Write("tokens", token.line), .client_names = {"ops.example=admin"}});
  EXPECT_EQ(Code("Bearer wrong", Role::kAdmin, {"ops.example"}), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Code("Bearer " + token.token, Role::kAdmin, {"ops.example"}),
            absl::StatusCode::kPermissionDenied);
}

class AccessControlJwtTest : public AccessControlTest {
 protected:
  void SetUp() override {
    path_ = Write("jwks", absl::StrCat(R"({"keys":[)", key_.Jwk("k"), "]}"));
    Open({.jwks_file = path_, .jwt_issuer = "idp", .jwt_audience = "calserve"});
  }
  std::string Header(const std::string& roles) const {
    return "Bearer " +
           key_.Sign("ES256", R"({"alg":"ES256","kid":"k"})",
                     absl::StrCat(R"({"iss":"idp","aud":"calserve","sub":"alice","exp":1000,"roles":")",
                                  roles, R"("})"));
  }

  const TestKey key_{TestKey::Kind::kEc};
  std::string path_;
};

TEST_F(AccessControlJwtTest, AJwtMayDoWhatItsRolesSay) {
  EXPECT_EQ(Ask(Header("read"))->name, "jwt:alice");
  EXPECT_EQ(Code(Header("predict")), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Code(Header("")), absl::StatusCode::kPermissionDenied);
}

TEST_F(AccessControlJwtTest, ATokenThatWasGoodExpires) {
  const std::string header = Header("read");
  EXPECT_TRUE(Ask(header).ok());
  EXPECT_TRUE(Ask(header).ok());  // From what is kept of it.
  clock_.Advance(absl::Seconds(530));
  EXPECT_EQ(ErrorReason(Ask(header).status()), "TOKEN_EXPIRED");
}

TEST_F(AccessControlJwtTest, AKeyThatIsTakenOutTakesItsTokensWithIt) {
  const std::string header = Header("read");
  EXPECT_TRUE(Ask(header).ok());
  const TestKey other(TestKey::Kind::kEc);
  Write("jwks", absl::StrCat(R"({"keys":[)", other.Jwk("k2"), "]}"));
  access_->Reload();
  EXPECT_EQ(Code(header), absl::StatusCode::kUnauthenticated);
}

}  // namespace
}  // namespace calserve
