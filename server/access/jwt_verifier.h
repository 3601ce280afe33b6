#ifndef CALSERVE_SERVER_ACCESS_JWT_VERIFIER_H_
#define CALSERVE_SERVER_ACCESS_JWT_VERIFIER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/access/roles.h"

namespace calserve {

struct JwtOptions {
  std::string issuer;                         // what iss must be
  std::string audience;                       // what aud must be, or have among others
  std::string roles_claim = "roles";          // a list of names, or words with spaces between them
  absl::Duration leeway = absl::Seconds(30);  // by which clocks may differ
};

// What a token that has been verified says.
struct JwtClaims {
  std::string subject;  // 1 to 128 bytes
  Roles roles;          // names that are no role's are left out
  absl::Time expires, not_before;

  // UNAUTHENTICATED outside its time.
  absl::Status CheckTime(absl::Time now, absl::Duration leeway) const;
};

// Verifies signed JWTs (RFC 7519, RFC 8725) by the keys of a JWKS (RFC 7517). The key that the token's `kid`
// names fixes the algorithm: its own `alg`, or RS256, ES256, ES384, ES512 or EdDSA by its type. A token whose
// header says another one is refused, and so are "none", symmetric algorithms, encrypted tokens, `crit`, and
// base64url that is not canonical. Keys and links inside a token are never followed. iss, aud, exp and sub
// must be there; nbf may.
class JwtVerifier {
 public:
  static constexpr size_t kMaxToken = 8 << 10;  // bytes; larger ones are refused unread

  // Takes the keys for signatures of a JWKS: RSA of at least 2048 bits, EC, Ed25519. INVALID_ARGUMENT for
  // what is no JWKS, for symmetric and private keys, for points that are not on their curve, two keys of one
  // kid, more than 64, or none that can be used.
  static absl::StatusOr<std::unique_ptr<JwtVerifier>> Create(absl::string_view jwks,
                                                             const JwtOptions& options);
  virtual ~JwtVerifier() = default;

  // UNAUTHENTICATED; what is wrong with the claims is said only of a token whose signature is good.
  // Thread-safe; one token at a time.
  virtual absl::StatusOr<JwtClaims> Verify(absl::string_view token, absl::Time now) const = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_ACCESS_JWT_VERIFIER_H_
