#include "server/access/jwt_verifier.h"

#include <jansson.h>
#include <rhonabwy.h>
#include <sodium.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/access/curve_point.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

constexpr size_t kMaxKeys = 64, kMaxSubject = 128;
constexpr unsigned kMinRsaBits = 2048;

struct Free {
  void operator()(json_t* json) const { json_decref(json); }  // A jwk_t is one too.
  void operator()(jwt_t* token) const { r_jwt_free(token); }
};
using Json = std::unique_ptr<json_t, Free>;
using Jwk = std::unique_ptr<jwk_t, Free>;
using Jwt = std::unique_ptr<jwt_t, Free>;

struct Key {
  std::string algorithm;
  Jwk jwk;
};

absl::Status Refuse(absl::string_view reason, absl::string_view message) {
  return WithReason(absl::UnauthenticatedError(message), reason);
}
// Of everything that is wrong before the signature is known to be good.
absl::Status NotValid() { return Refuse("TOKEN_INVALID", "the bearer token is not valid"); }

std::string Text(const json_t* object, const char* name) {
  const char* const value = json_string_value(json_object_get(object, name));
  return value == nullptr ? std::string() : std::string(value);
}

// The algorithm that this key signs with; empty where it is for something else, or unknown here.
std::string AlgorithmOf(const json_t* key) {
  const std::string type = Text(key, "kty"), curve = Text(key, "crv"), said = Text(key, "alg");
  std::vector<std::string> of_type;
  if (type == "RSA") of_type = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"};
  if (type == "EC" && curve == "P-256") of_type = {"ES256"};
  if (type == "EC" && curve == "P-384") of_type = {"ES384"};
  if (type == "EC" && curve == "P-521") of_type = {"ES512"};
  if (type == "OKP" && curve == "Ed25519") of_type = {"EdDSA"};
  if (of_type.empty() || (!Text(key, "use").empty() && Text(key, "use") != "sig")) return "";
  if (said.empty()) return of_type.front();
  return std::find(of_type.begin(), of_type.end(), said) == of_type.end() ? "" : said;
}

absl::StatusOr<Jwk> Import(json_t* key, const std::string& kid) {
  jwk_t* raw = nullptr;
  if (r_jwk_init(&raw) != RHN_OK) return absl::InternalError("no memory for a key");
  Jwk jwk(raw);
  unsigned bits = 0;
  if (r_jwk_import_from_json_t(jwk.get(), key) != RHN_OK ||
      (r_jwk_key_type(jwk.get(), &bits, R_FLAG_IGNORE_REMOTE) & R_KEY_TYPE_PUBLIC) == 0) {
    return absl::InvalidArgumentError(absl::StrCat("key \"", kid, "\" is not a public key"));
  }
  const std::string curve = Text(key, "crv");
  if (!curve.empty() && !IsCurvePoint(curve, Text(key, "x"), Text(key, "y"))) {
    return absl::InvalidArgumentError(absl::StrCat("key \"", kid, "\" is no point on the curve ", curve));
  }
  if (Text(key, "kty") == "RSA" && bits < kMinRsaBits) {
    return absl::InvalidArgumentError(
        absl::StrCat("key \"", kid, "\" has ", bits, " bits; RSA needs ", kMinRsaBits));
  }
  return jwk;
}

absl::Status AddKey(json_t* key, std::map<std::string, Key>* keys) {
  const std::string kid = Text(key, "kid");
  if (Text(key, "kty") == "oct" || json_object_get(key, "d") != nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("key \"", kid, "\" is secret: only public keys belong in this file"));
  }
  std::string algorithm = AlgorithmOf(key);
  if (algorithm.empty()) return absl::OkStatus();  // For encryption, or of a kind that we do not know.
  if (kid.empty()) return absl::InvalidArgumentError("every key must have a kid, which tokens name it by");
  ASSIGN_OR_RETURN(Jwk jwk, Import(key, kid));
  if (!keys->emplace(kid, Key{std::move(algorithm), std::move(jwk)}).second) {
    return absl::InvalidArgumentError(absl::StrCat("key \"", kid, "\" is there twice"));
  }
  if (keys->size() > kMaxKeys)
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMaxKeys, " keys"));
  return absl::OkStatus();
}

// Three parts of canonical base64url: another text for the same bytes would be another token.
bool IsCanonical(absl::string_view token) {
  const std::vector<absl::string_view> parts = absl::StrSplit(token, '.');
  if (parts.size() != 3) return false;
  std::string bytes(token.size(), '\0');
  return std::all_of(parts.begin(), parts.end(), [&bytes](absl::string_view part) {
    size_t size = 0;
    const char* end = nullptr;
    return !part.empty() &&
           sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), part.data(),
                             part.size(), nullptr, &size, &end,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
           end == part.data() + part.size();
  });
}

bool HasAudience(const json_t* audience, const std::string& wanted) {
  const auto is_wanted = [&wanted](const json_t* value) {
    return json_is_string(value) && wanted == json_string_value(value);
  };
  if (!json_is_array(audience)) return is_wanted(audience);
  for (size_t i = 0; i < json_array_size(audience); ++i) {
    if (is_wanted(json_array_get(audience, i))) return true;
  }
  return false;
}

Roles RolesOf(const json_t* claim) {
  Roles out;
  if (json_is_string(claim)) {
    const absl::string_view words = json_string_value(claim);
    for (absl::string_view word : absl::StrSplit(words, ' ')) out = out.With(RoleNamed(word));
  }
  for (size_t i = 0; i < json_array_size(claim); ++i) {
    const char* const name = json_string_value(json_array_get(claim, i));
    if (name != nullptr) out = out.With(RoleNamed(name));
  }
  return out;
}

// A NumericDate; false where it is none.
bool ReadTime(const json_t* value, absl::Time* time) {
  constexpr double kMost = 1e11;  // the year 5138
  if (!json_is_number(value)) return false;
  const double seconds = json_number_value(value);
  if (!std::isfinite(seconds) || std::abs(seconds) > kMost) return false;
  *time = absl::UnixEpoch() + absl::Seconds(seconds);
  return true;
}

absl::StatusOr<JwtClaims> ReadClaims(const json_t* claims, const JwtOptions& options) {
  if (Text(claims, "iss") != options.issuer) {
    return Refuse("TOKEN_WRONG_ISSUER", "the bearer token is not from the issuer that this server trusts");
  }
  if (!HasAudience(json_object_get(claims, "aud"), options.audience)) {
    return Refuse("TOKEN_WRONG_AUDIENCE", "the bearer token is for another audience");
  }
  JwtClaims out;
  out.subject = Text(claims, "sub");
  if (out.subject.empty() || out.subject.size() > kMaxSubject) {
    return Refuse("TOKEN_INVALID",
                  absl::StrCat("the bearer token needs a sub of 1 to ", kMaxSubject, " bytes"));
  }
  const json_t* const not_before = json_object_get(claims, "nbf");
  out.not_before = absl::InfinitePast();
  if (!ReadTime(json_object_get(claims, "exp"), &out.expires) ||
      (not_before != nullptr && !ReadTime(not_before, &out.not_before))) {
    return Refuse("TOKEN_INVALID", "the bearer token needs exp, and nbf if any, as numbers of seconds");
  }
  out.roles = RolesOf(json_object_get(claims, options.roles_claim.c_str()));
  return out;
}

class RhonabwyVerifier final : public JwtVerifier {
 public:
  RhonabwyVerifier(std::map<std::string, Key> keys, const JwtOptions& options)
      : options_(options), keys_(std::move(keys)) {}

  absl::StatusOr<JwtClaims> Verify(absl::string_view token, absl::Time now) const override {
    if (token.size() > kMaxToken || !IsCanonical(token)) return NotValid();
    ASSIGN_OR_RETURN(const Json claims, VerifySignature(token));
    ASSIGN_OR_RETURN(JwtClaims out, ReadClaims(claims.get(), options_));
    RETURN_IF_ERROR(out.CheckTime(now, options_.leeway));
    return out;
  }

 private:
  absl::StatusOr<Json> VerifySignature(absl::string_view token) const {
    MutexLock lock(&mu_);  // The library says nothing of threads that share a key.
    jwt_t* raw = nullptr;
    if (r_jwt_init(&raw) != RHN_OK) return absl::InternalError("no memory for a token");
    const Jwt jwt(raw);
    if (r_jwt_advanced_parsen(jwt.get(), token.data(), token.size(), R_PARSE_NONE, R_FLAG_IGNORE_REMOTE) !=
            RHN_OK ||
        r_jwt_get_type(jwt.get()) != R_JWT_TYPE_SIGN) {
      return NotValid();
    }
    const char* const kid = r_jwt_get_header_str_value(jwt.get(), "kid");
    const auto key = kid == nullptr ? keys_.end() : keys_.find(kid);
    if (key == keys_.end() || !HeaderFits(jwt.get(), key->second)) return NotValid();
    if (r_jwt_verify_signature(jwt.get(), key->second.jwk.get(), R_FLAG_IGNORE_REMOTE) != RHN_OK) {
      return NotValid();
    }
    Json claims(r_jwt_get_full_claims_json_t(jwt.get()));
    if (!json_is_object(claims.get())) return NotValid();
    return claims;
  }

  static bool HeaderFits(jwt_t* jwt, const Key& key) {
    const char* const algorithm = r_jwt_get_header_str_value(jwt, "alg");
    const Json critical(r_jwt_get_header_json_t_value(jwt, "crit"));
    return critical == nullptr && algorithm != nullptr && key.algorithm == algorithm &&
           r_jwt_get_sign_alg(jwt) == r_str_to_jwa_alg(key.algorithm.c_str());
  }

  const JwtOptions options_;
  const std::map<std::string, Key> keys_;  // by kid
  mutable Mutex mu_;
};

}  // namespace

absl::Status JwtClaims::CheckTime(absl::Time now, absl::Duration leeway) const {
  if (now >= expires + leeway) return Refuse("TOKEN_EXPIRED", "the bearer token has expired");
  if (now < not_before - leeway) return Refuse("TOKEN_NOT_YET_VALID", "the bearer token is not valid yet");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<JwtVerifier>> JwtVerifier::Create(absl::string_view jwks,
                                                                 const JwtOptions& options) {
  // Once a process, from whatever thread is first.
  static const bool started = sodium_init() >= 0 && r_global_init() == RHN_OK;
  if (!started) return absl::InternalError("librhonabwy cannot start");
  json_error_t error;
  const Json parsed(json_loadb(jwks.data(), jwks.size(), JSON_REJECT_DUPLICATES, &error));
  const json_t* const list = json_object_get(parsed.get(), "keys");
  if (!json_is_array(list)) {
    return absl::InvalidArgumentError("a JWKS is a JSON object with a list \"keys\"");
  }
  std::map<std::string, Key> keys;
  for (size_t i = 0; i < json_array_size(list); ++i) {
    RETURN_IF_ERROR(AddKey(json_array_get(list, i), &keys));
  }
  if (keys.empty()) {
    return absl::InvalidArgumentError("there is no key for signatures (RSA, EC or Ed25519) in it");
  }
  return std::make_unique<RhonabwyVerifier>(std::move(keys), options);
}

}  // namespace calserve
