#include "server/rpc/tls_credentials.h"

#include <grpc/grpc.h>

namespace calserve {

TlsCredentials::TlsCredentials(const TlsFiles& files, bool client_certificates) : files_(files) {
  credentials_ = grpc_ssl_server_credentials_create_with_options(
      grpc_ssl_server_credentials_create_options_using_config_fetcher(
          client_certificates ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                              : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
          &TlsCredentials::Fetch, this));
}

TlsCredentials::~TlsCredentials() { grpc_server_credentials_release(credentials_); }

int TlsCredentials::AddPortToServer(const std::string& address, grpc_server* server) {
  return grpc_server_add_http2_port(server, address.c_str(), credentials_);
}

grpc_ssl_certificate_config_reload_status TlsCredentials::Fetch(void* self,
                                                                grpc_ssl_server_certificate_config** config) {
  auto& credentials = *static_cast<TlsCredentials*>(self);
  const uint64_t generation = credentials.files_.generation();
  if (credentials.shown_.load() == generation) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  const std::shared_ptr<const TlsMaterial> material = credentials.files_.Current();
  const grpc_ssl_pem_key_cert_pair pair{material->key.c_str(), material->certificates.c_str()};
  // gRPC 1.51 ends the process where there are no roots, also where it asks no client for a certificate.
  const std::string& roots = material->client_ca.empty() ? material->certificates : material->client_ca;
  *config = grpc_ssl_server_certificate_config_create(roots.c_str(), &pair, 1);
  credentials.shown_.store(generation);
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

}  // namespace calserve
