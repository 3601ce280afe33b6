#include "tests/unit/access/test_keys.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <array>
#include <stdexcept>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace calserve::test {
namespace {

std::string OfBignum(EVP_PKEY* key, const char* name, int size) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) throw std::runtime_error(name);
  std::string bytes(static_cast<size_t>(size > 0 ? size : BN_num_bytes(number)), '\0');
  BN_bn2binpad(number, reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  BN_free(number);
  return bytes;
}

// DER to the two numbers of RFC 7518, 3.4.
std::string RawEcdsa(const std::string& der) {
  const auto* begin = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* const signature = d2i_ECDSA_SIG(nullptr, &begin, static_cast<long>(der.size()));
  std::string raw(64, '\0');
  auto* const out = reinterpret_cast<unsigned char*>(raw.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + 32, 32);
  ECDSA_SIG_free(signature);
  return raw;
}

template <typename Write>
std::string Pem(Write write) {
  BIO* const bio = BIO_new(BIO_s_mem());
  write(bio);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(bio);
  return pem;
}

}  // namespace

struct TestKey::Impl {
  Kind kind;
  EVP_PKEY* key;
};

TestKey::TestKey(Kind kind, int rsa_bits) : impl_(std::make_unique<Impl>()) {
  impl_->kind = kind;
  switch (kind) {
    case Kind::kRsa:
      impl_->key = EVP_RSA_gen(static_cast<unsigned>(rsa_bits));
      break;
    case Kind::kEc:
      impl_->key = EVP_EC_gen("P-256");
      break;
    case Kind::kEd25519:
      impl_->key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      break;
  }
  if (impl_->key == nullptr) throw std::runtime_error("OpenSSL makes no key");
}

TestKey::~TestKey() {
  if (impl_ != nullptr) EVP_PKEY_free(impl_->key);
}
TestKey::TestKey(TestKey&&) noexcept = default;

std::string Base64Url(absl::string_view bytes) {
  std::string text;
  absl::WebSafeBase64Escape(bytes, &text);
  return text;
}

std::string TestKey::Jwk(absl::string_view kid, absl::string_view algorithm) const {
  std::string jwk = absl::StrCat(R"({"kid":")", kid, R"(","use":"sig",)");
  if (!algorithm.empty()) absl::StrAppend(&jwk, R"("alg":")", algorithm, R"(",)");
  switch (impl_->kind) {
    case Kind::kRsa:
      absl::StrAppend(&jwk, R"("kty":"RSA","n":")", Base64Url(OfBignum(impl_->key, OSSL_PKEY_PARAM_RSA_N, 0)),
                      R"(","e":")", Base64Url(OfBignum(impl_->key, OSSL_PKEY_PARAM_RSA_E, 0)));
      break;
    case Kind::kEc:
      absl::StrAppend(&jwk, R"("kty":"EC","crv":"P-256","x":")",
                      Base64Url(OfBignum(impl_->key, OSSL_PKEY_PARAM_EC_PUB_X, 32)), R"(","y":")",
                      Base64Url(OfBignum(impl_->key, OSSL_PKEY_PARAM_EC_PUB_Y, 32)));
      break;
    case Kind::kEd25519: {
      std::array<unsigned char, 32> raw;
      size_t size = raw.size();
      EVP_PKEY_get_raw_public_key(impl_->key, raw.data(), &size);
      absl::StrAppend(&jwk, R"("kty":"OKP","crv":"Ed25519","x":")",
                      Base64Url({reinterpret_cast<const char*>(raw.data()), size}));
      break;
    }
  }
  return absl::StrCat(jwk, R"("})");
}

std::string TestKey::Sign(absl::string_view algorithm, absl::string_view header,
                          absl::string_view claims) const {
  const std::string input = absl::StrCat(Base64Url(header), ".", Base64Url(claims));
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  EVP_PKEY_CTX* of_key = nullptr;
  EVP_DigestSignInit(context, &of_key, algorithm == "EdDSA" ? nullptr : EVP_sha256(), nullptr, impl_->key);
  if (algorithm == "PS256") {
    EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, RSA_PSS_SALTLEN_DIGEST);
  }
  const auto* const bytes = reinterpret_cast<const unsigned char*>(input.data());
  size_t size = 0;
  EVP_DigestSign(context, nullptr, &size, bytes, input.size());
  std::string signature(size, '\0');
  if (EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size, bytes,
                     input.size()) != 1) {
    throw std::runtime_error("OpenSSL does not sign");
  }
  EVP_MD_CTX_free(context);
  signature.resize(size);
  if (impl_->kind == Kind::kEc) signature = RawEcdsa(signature);
  return absl::StrCat(input, ".", Base64Url(signature));
}

std::string TestKey::PublicPem() const {
  return Pem([this](BIO* bio) { PEM_write_bio_PUBKEY(bio, impl_->key); });
}

std::string TestKey::PrivatePem() const {
  return Pem(
      [this](BIO* bio) { PEM_write_bio_PrivateKey(bio, impl_->key, nullptr, nullptr, 0, nullptr, nullptr); });
}

std::string TestKey::CertificatePem(const std::string& name) const {
  X509* const certificate = X509_new();
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 3600);
  X509_NAME* const subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate, subject);
  X509_set_pubkey(certificate, impl_->key);
  X509_sign(certificate, impl_->key, impl_->kind == Kind::kEd25519 ? nullptr : EVP_sha256());
  std::string pem = Pem([certificate](BIO* bio) { PEM_write_bio_X509(bio, certificate); });
  X509_free(certificate);
  return pem;
}

std::string SignHs256(absl::string_view secret, absl::string_view header, absl::string_view claims) {
  const std::string input = absl::StrCat(Base64Url(header), ".", Base64Url(claims));
  std::array<unsigned char, 32> mac;
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(input.data()), input.size(), mac.data(), &size);
  return absl::StrCat(input, ".", Base64Url({reinterpret_cast<const char*>(mac.data()), size}));
}

}  // namespace calserve::test
