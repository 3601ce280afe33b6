#ifndef CALSERVE_TESTS_UNIT_ACCESS_TEST_KEYS_H_
#define CALSERVE_TESTS_UNIT_ACCESS_TEST_KEYS_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace calserve::test {

// A key pair that signs JWTs and certificates, by OpenSSL alone: what the server verifies with is another
// library.
class TestKey {
 public:
  enum class Kind { kRsa, kEc, kEd25519 };
  explicit TestKey(Kind kind, int rsa_bits = 2048);
  ~TestKey();
  TestKey(TestKey&&) noexcept;

  // The JWK of the public half; `algorithm` empty: without alg.
  std::string Jwk(absl::string_view kid, absl::string_view algorithm = "") const;
  // RS256, PS256, ES256 or EdDSA over `header`.`claims`, both JSON.
  std::string Sign(absl::string_view algorithm, absl::string_view header, absl::string_view claims) const;
  std::string PublicPem() const;
  std::string PrivatePem() const;
  // Self-signed, for a day.
  std::string CertificatePem(const std::string& name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string Base64Url(absl::string_view bytes);
// HS256 with these bytes as the secret.
std::string SignHs256(absl::string_view secret, absl::string_view header, absl::string_view claims);

}  // namespace calserve::test

#endif  // CALSERVE_TESTS_UNIT_ACCESS_TEST_KEYS_H_
