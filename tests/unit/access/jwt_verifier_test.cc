#include "server/access/jwt_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/base/error_info.h"
#include "tests/unit/access/test_keys.h"

namespace calserve {
namespace {

using test::TestKey;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHeader[] = R"({"alg":"RS256","typ":"JWT","kid":"r1"})";
constexpr char kClaims[] =
    R"({"iss":"https://idp.example","aud":"calserve","sub":"alice","exp":1000,"nbf":100,"roles":["read"]})";

class JwtVerifierTest : public ::testing::Test {
 protected:
  static const TestKey& Rsa() {
    static const TestKey key(TestKey::Kind::kRsa);
    return key;
  }
  static std::string Jwks(const std::string& keys) { return absl::StrCat(R"({"keys":[)", keys, "]}"); }

  void Use(const std::string& keys) {
    auto made = JwtVerifier::Create(Jwks(keys), options_);
    ASSERT_TRUE(made.ok()) << made.status();
    verifier_ = *std::move(made);
  }
  void SetUp() override { Use(Rsa().Jwk("r1", "RS256")); }

  absl::StatusOr<JwtClaims> Verify(const std::string& token, int now = 500) const {
    return verifier_->Verify(token, absl::FromUnixSeconds(now));
  }
  std::string Good() const { return Rsa().Sign("RS256", kHeader, kClaims); }
  // A good signature over other claims.
  std::string With(const std::string& from, const std::string& to) const {
    return Rsa().Sign("RS256", kHeader, absl::StrReplaceAll(kClaims, {{from, to}}));
  }
  std::string ReasonOf(const std::string& token, int now = 500) const {
    const auto claims = Verify(token, now);
    EXPECT_EQ(claims.status().code(), absl::StatusCode::kUnauthenticated);
    return ErrorReason(claims.status());
  }

  const JwtOptions options_{.issuer = "https://idp.example", .audience = "calserve"};
  std::unique_ptr<JwtVerifier> verifier_;
};

TEST_F(JwtVerifierTest, ATokenOfTheKeySaysWhoItIs) {
  const auto claims = Verify(Good());
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_EQ(claims->subject, "alice");
  EXPECT_EQ(claims->roles, Roles(Role::kRead));
  EXPECT_EQ(claims->expires, absl::FromUnixSeconds(1000));
}

TEST_F(JwtVerifierTest, EveryKindOfKeyVerifiesWhatOpensslHasSigned) {
  const TestKey ec(TestKey::Kind::kEc), ed(TestKey::Kind::kEd25519);
  Use(absl::StrCat(Rsa().Jwk("rs"), ",", Rsa().Jwk("ps", "PS256"), ",", ec.Jwk("es"), ",", ed.Jwk("ed")));
  const auto sign = [](const TestKey& key, const std::string& algorithm, const std::string& kid) {
    return key.Sign(algorithm, absl::StrCat(R"({"alg":")", algorithm, R"(","kid":")", kid, R"("})"), kClaims);
  };
  EXPECT_TRUE(Verify(sign(Rsa(), "RS256", "rs")).ok());
  EXPECT_TRUE(Verify(sign(Rsa(), "PS256", "ps")).ok());
  EXPECT_TRUE(Verify(sign(ec, "ES256", "es")).ok());
  EXPECT_TRUE(Verify(sign(ed, "EdDSA", "ed")).ok());
  // The key fixes the algorithm, also between two that it could do.
  EXPECT_EQ(ReasonOf(sign(Rsa(), "PS256", "rs")), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(sign(Rsa(), "RS256", "ps")), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(sign(ec, "ES256", "rs")), "TOKEN_INVALID");
}

TEST_F(JwtVerifierTest, NoSignatureIsRefusedHoweverItIsWritten) {
  for (const char* none : {"none", "None", "NONE", ""}) {
    const std::string header = absl::StrCat(R"({"alg":")", none, R"(","kid":"r1"})");
    const std::string unsigned_token =
        absl::StrCat(test::Base64Url(header), ".", test::Base64Url(kClaims), ".");
    EXPECT_EQ(ReasonOf(unsigned_token), "TOKEN_INVALID") << none;
    EXPECT_EQ(ReasonOf(unsigned_token + "AAAA"), "TOKEN_INVALID") << none;
  }
}

TEST_F(JwtVerifierTest, ThePublicKeyIsNoSecretToSignWith) {
  const std::string header = R"({"alg":"HS256","kid":"r1"})";
  for (const std::string& secret : {Rsa().PublicPem(), Rsa().Jwk("r1", "RS256"), std::string()}) {
    EXPECT_EQ(ReasonOf(test::SignHs256(secret, header, kClaims)), "TOKEN_INVALID");
    // Nor where the header claims the key's algorithm.
    EXPECT_EQ(ReasonOf(test::SignHs256(secret, kHeader, kClaims)), "TOKEN_INVALID");
  }
}

TEST_F(JwtVerifierTest, AnotherKeyIsRefusedUnderTheKnownName) {
  const TestKey other(TestKey::Kind::kRsa);
  EXPECT_EQ(ReasonOf(other.Sign("RS256", kHeader, kClaims)), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(Rsa().Sign("RS256", R"({"alg":"RS256","kid":"r2"})", kClaims)), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(Rsa().Sign("RS256", R"({"alg":"RS256"})", kClaims)), "TOKEN_INVALID");
}

TEST_F(JwtVerifierTest, AKeyInsideTheTokenIsNotFollowed) {
  const TestKey attacker(TestKey::Kind::kRsa);
  const std::string jwk = attacker.Jwk("r1", "RS256");
  for (const std::string& header :
       {absl::StrCat(R"({"alg":"RS256","kid":"r1","jwk":)", jwk, "}"),
        std::string(R"({"alg":"RS256","kid":"r1","jku":"https://evil.example/jwks"})"),
        std::string(R"({"alg":"RS256","kid":"r1","x5u":"https://evil.example/c.pem"})")}) {
    EXPECT_EQ(ReasonOf(attacker.Sign("RS256", header, kClaims)), "TOKEN_INVALID") << header;
  }
}

TEST_F(JwtVerifierTest, WhatTheHeaderCallsCriticalIsNotPassedOver) {
  EXPECT_EQ(ReasonOf(Rsa().Sign("RS256", R"({"alg":"RS256","kid":"r1","crit":["exp"]})", kClaims)),
            "TOKEN_INVALID");
}

TEST_F(JwtVerifierTest, ATokenHoldsFromNotBeforeUntilExpiryGiveOrTakeTheLeeway) {
  EXPECT_EQ(ReasonOf(Good(), 69), "TOKEN_NOT_YET_VALID");
  EXPECT_TRUE(Verify(Good(), 70).ok());
  EXPECT_TRUE(Verify(Good(), 1029).ok());
  EXPECT_EQ(ReasonOf(Good(), 1030), "TOKEN_EXPIRED");
}

TEST_F(JwtVerifierTest, AnotherIssuerOrAudienceIsRefused) {
  EXPECT_EQ(ReasonOf(With("https://idp.example", "https://idp.example.evil")), "TOKEN_WRONG_ISSUER");
  EXPECT_EQ(ReasonOf(With(R"("iss":"https://idp.example",)", "")), "TOKEN_WRONG_ISSUER");
  EXPECT_EQ(ReasonOf(With(R"("aud":"calserve")", R"("aud":"other")")), "TOKEN_WRONG_AUDIENCE");
  EXPECT_EQ(ReasonOf(With(R"("aud":"calserve",)", "")), "TOKEN_WRONG_AUDIENCE");
  EXPECT_EQ(ReasonOf(With(R"("aud":"calserve")", R"("aud":["a","b"])")), "TOKEN_WRONG_AUDIENCE");
  EXPECT_TRUE(Verify(With(R"("aud":"calserve")", R"("aud":["a","calserve"])")).ok());
}

TEST_F(JwtVerifierTest, ClaimsThatAreMissingOrOfTheWrongKindAreRefused) {
  EXPECT_EQ(ReasonOf(With(R"("exp":1000,)", "")), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(With(R"("exp":1000)", R"("exp":"1000")")), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(With(R"("exp":1000)", R"("exp":1e300)")), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(With(R"("nbf":100)", R"("nbf":null)")), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(With(R"("sub":"alice")", R"("sub":"")")), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(With("alice", std::string(129, 'a'))), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(Rsa().Sign("RS256", kHeader, "[]")), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(Rsa().Sign("RS256", kHeader, "not json")), "TOKEN_INVALID");
}

TEST_F(JwtVerifierTest, RolesAreAListOrWordsAndUnknownOnesAreNone) {
  const auto roles = [this](const std::string& value) {
    const auto claims = Verify(With(R"(["read"])", value));
    EXPECT_TRUE(claims.ok()) << claims.status();
    return claims->roles.ToString();
  };
  EXPECT_EQ(roles(R"(["predict","feedback"])"), "predict,feedback");
  EXPECT_EQ(roles(R"("predict openid read")"), "predict,read");
  EXPECT_EQ(roles(R"(["Admin","root",7])"), "none");
  EXPECT_EQ(roles("{}"), "none");
}

TEST_F(JwtVerifierTest, ATokenThatIsTooLongOrInOtherPartsIsRefused) {
  const std::string long_claims = absl::StrReplaceAll(
      kClaims, {{R"("roles")", absl::StrCat("\"x\":\"", std::string(16384, 'x'), R"(","roles")")}});
  EXPECT_EQ(ReasonOf(Rsa().Sign("RS256", kHeader, long_claims)), "TOKEN_INVALID");
  EXPECT_EQ(ReasonOf(std::string(16384, 'a')), "TOKEN_INVALID");
  for (const std::string& token : {std::string("."), std::string(".."), std::string("..."), Good() + ".",
                                   Good() + ".a.b", "." + Good(), Good() + "=", Good() + " ", " " + Good()}) {
    EXPECT_EQ(ReasonOf(token), "TOKEN_INVALID") << token.substr(0, 16);
  }
}

// Like a fuzzer's, but with what must come of it: nothing but the one text is accepted.
TEST_F(JwtVerifierTest, NoTokenWithABitFlippedIsAccepted) {
  const TestKey ec(TestKey::Kind::kEc);
  Use(absl::StrCat(Rsa().Jwk("r1", "RS256"), ",", ec.Jwk("e1")));
  const std::string good[] = {Good(), ec.Sign("ES256", R"({"alg":"ES256","kid":"e1"})", kClaims)};
  for (const std::string& token : good) {
    ASSERT_TRUE(Verify(token).ok());
    int accepted = 0;
    for (size_t bit = 0; bit < 8 * token.size(); ++bit) {
      std::string flipped = token;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      accepted += Verify(flipped).ok() ? 1 : 0;
    }
    EXPECT_EQ(accepted, 0);
  }
}

TEST_F(JwtVerifierTest, NothingMadeAtRandomOfGoodTokensIsAccepted) {
  const std::string good = Good(), other = With("alice", "bob");
  std::mt19937 random(20261128);
  const auto below = [&random](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string token = good;
    switch (below(4)) {
      case 0:  // Some bytes are others.
        for (size_t n = 1 + below(8); n > 0; --n) token[below(token.size())] = static_cast<char>(below(256));
        break;
      case 1:  // A piece is missing.
        token.erase(below(token.size()), 1 + below(40));
        break;
      case 2:  // A piece is there twice.
        token.insert(below(token.size()), token.substr(below(token.size()), 1 + below(40)));
        break;
      default: {  // One token's beginning, another's end.
        const size_t cut = below(std::min(good.size(), other.size()));
        token = good.substr(0, cut) + other.substr(cut);
      }
    }
    if (token != good && token != other) accepted += Verify(token).ok() ? 1 : 0;
  }
  EXPECT_EQ(accepted, 0);
}

TEST_F(JwtVerifierTest, AWrongKeyFileIsRefused) {
  const auto refusal = [this](const std::string& jwks) {
    return std::string(JwtVerifier::Create(jwks, options_).status().message());
  };
  EXPECT_THAT(refusal("nothing"), HasSubstr("a JWKS is a JSON object"));
  EXPECT_THAT(refusal("{}"), HasSubstr("a JWKS is a JSON object"));
  EXPECT_THAT(refusal(R"({"keys":[]})"), HasSubstr("no key for signatures"));
  EXPECT_THAT(refusal(Jwks(R"({"kty":"oct","kid":"s","k":"c2VjcmV0"})")), HasSubstr("\"s\" is secret"));
  EXPECT_THAT(refusal(Jwks(R"({"kty":"RSA","kid":"p","n":"AQAB","e":"AQAB","d":"hidden"})")),
              testing::AllOf(HasSubstr("\"p\" is secret"), Not(HasSubstr("hidden"))));
  EXPECT_THAT(refusal(Jwks(R"({"kty":"RSA","kid":"x","n":"!","e":"AQAB"})")),
              HasSubstr("\"x\" is not a public"));
  EXPECT_THAT(refusal(Jwks(absl::StrCat(Rsa().Jwk("a"), ",", Rsa().Jwk("a")))),
              HasSubstr("\"a\" is there twice"));
  EXPECT_THAT(refusal(Jwks(Rsa().Jwk(""))), HasSubstr("must have a kid"));
  EXPECT_THAT(refusal(Jwks(TestKey(TestKey::Kind::kRsa, 1024).Jwk("w"))),
              HasSubstr("1024 bits; RSA needs 2048"));
}

// Such a key verifies nothing at best.
TEST_F(JwtVerifierTest, AKeyThatIsNoPointOnItsCurveIsRefusedByName) {
  const auto refusal = [this](const std::string& key) {
    return std::string(
        JwtVerifier::Create(Jwks(absl::StrCat(Rsa().Jwk("a"), ",", key)), options_).status().message());
  };
  const std::string zero(43, 'A'), one = std::string(42, 'A') + "E",
                                   ec = TestKey(TestKey::Kind::kEc).Jwk("e");
  const size_t y = ec.find(R"("y":")") + 5;
  for (const std::string& key :
       {absl::StrCat(R"({"kty":"EC","crv":"P-256","kid":"e","x":")", zero, R"(","y":")", zero, R"("})"),
        absl::StrCat(R"({"kty":"EC","crv":"P-256","kid":"e","x":")", one, R"(","y":")", one, R"("})"),
        ec.substr(0, y) + one + ec.substr(y + 43)}) {
    EXPECT_THAT(refusal(key), HasSubstr("\"e\" is no point on the curve P-256")) << key;
  }
  EXPECT_THAT(refusal(absl::StrCat(R"({"kty":"OKP","crv":"Ed25519","kid":"d","x":")", zero, R"("})")),
              HasSubstr("\"d\" is no point on the curve Ed25519"));
}

TEST_F(JwtVerifierTest, KeysForOtherUsesArePassedOver) {
  const std::string encrypts = absl::StrReplaceAll(Rsa().Jwk("enc"), {{R"("sig")", R"("enc")"}});
  Use(absl::StrCat(encrypts, R"(,{"kty":"new","kid":"n"},)", Rsa().Jwk("r1")));
  EXPECT_TRUE(Verify(Good()).ok());
  EXPECT_EQ(ReasonOf(Rsa().Sign("RS256", R"({"alg":"RS256","kid":"enc"})", kClaims)), "TOKEN_INVALID");
}

}  // namespace
}  // namespace calserve
