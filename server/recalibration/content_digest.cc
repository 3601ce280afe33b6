#include "server/recalibration/content_digest.h"

#include <sodium.h>

#include <array>

#include "absl/strings/escaping.h"

namespace calserve {

std::string ContentDigest(absl::string_view content) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash;
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(content.data()), content.size());
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(hash.data()), hash.size()));
}

}  // namespace calserve
