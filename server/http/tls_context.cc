#include "server/http/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>

#include "server/logging/log.h"

namespace calserve {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;

Bio Open(const std::string& pem) { return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

bool UseCertificates(SSL_CTX* context, const std::string& pem) {
  const Bio bio = Open(pem);
  bool first = true;
  while (X509* const next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    const Certificate certificate(next);
    const bool used = first ? SSL_CTX_use_certificate(context, certificate.get()) == 1
                            : SSL_CTX_add1_chain_cert(context, certificate.get()) == 1;
    if (!used) return false;
    first = false;
  }
  return !first;
}

bool UseKey(SSL_CTX* context, const std::string& pem) {
  const Bio bio = Open(pem);
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  return key != nullptr && SSL_CTX_use_PrivateKey(context, key.get()) == 1;
}

bool AskForCertificates(SSL_CTX* context, const std::string& pem) {
  const Bio bio = Open(pem);
  while (X509* const next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    const Certificate certificate(next);
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get()) != 1 ||
        SSL_CTX_add_client_CA(context, certificate.get()) != 1) {
      return false;
    }
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  return true;
}

std::shared_ptr<SSL_CTX> Make(const TlsMaterial& material) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (context == nullptr) return nullptr;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // One request a connection: nothing to resume, and no key to keep for it.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  const bool made = UseCertificates(context.get(), material.certificates) &&
                    UseKey(context.get(), material.key) &&
                    (material.client_ca.empty() || AskForCertificates(context.get(), material.client_ca));
  ERR_clear_error();
  return made ? context : nullptr;
}

}  // namespace

std::shared_ptr<SSL_CTX> TlsContext::Current() {
  MutexLock lock(&mu_);
  const uint64_t generation = files_.generation();
  if (generation == generation_) return context_;
  generation_ = generation;
  std::shared_ptr<SSL_CTX> made = Make(*files_.Current());
  if (made == nullptr) {
    LogError("admin port: OpenSSL does not take the certificate, the one from before is in force");
  } else {
    context_ = std::move(made);
  }
  return context_;
}

}  // namespace calserve
