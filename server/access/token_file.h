#ifndef CALSERVE_SERVER_ACCESS_TOKEN_FILE_H_
#define CALSERVE_SERVER_ACCESS_TOKEN_FILE_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/access/roles.h"

namespace calserve {

// SHA-256 of a bearer token: fast, which is right for tokens of 256 random bits and for nothing that a person
// has thought up.
using TokenDigest = std::array<uint8_t, 32>;
TokenDigest DigestOf(absl::string_view token);

// The static tokens of a file. A value. The file is text, a token a line; empty lines and lines starting with
// '#' are skipped:
//
//   NAME ROLE[,ROLE...] sha256:HEX
//   grafana read sha256:9f86d0…64 hex digits
//
// NAME: 1 to 64 of letters, digits and ._@-; several lines may have the same, so that a token can be replaced
// without a gap. HEX: of the token's bytes, as sha256sum says it. At most 10,000 lines.
class TokenFile final {
 public:
  struct Entry {
    std::string name;
    Roles roles;
    TokenDigest digest{};
  };

  // INVALID_ARGUMENT with the number of the offending line; no digest is in a message.
  static absl::StatusOr<TokenFile> Parse(absl::string_view text);

  // Null if there is none. Its time tells nothing of the digests in the file: they are found by a hash under
  // a key of this process's own, and compared as a whole.
  const Entry* Find(const TokenDigest& digest) const;
  size_t size() const { return entries_.size(); }

 private:
  TokenFile() = default;

  std::array<uint8_t, 16> hash_key_{};
  std::multimap<uint64_t, Entry> entries_;  // by the keyed hash of the digest
};

// A new random token for `spec`, "NAME=ROLE,ROLE", and the line for the file. INVALID_ARGUMENT with the rule.
struct NewToken {
  std::string token;  // 43 characters of base64url behind "calserve_"
  std::string line;
};
absl::StatusOr<NewToken> MakeToken(absl::string_view spec);

}  // namespace calserve

#endif  // CALSERVE_SERVER_ACCESS_TOKEN_FILE_H_
