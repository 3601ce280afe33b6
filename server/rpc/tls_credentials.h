#ifndef CALSERVE_SERVER_RPC_TLS_CREDENTIALS_H_
#define CALSERVE_SERVER_RPC_TLS_CREDENTIALS_H_

#include <grpc/grpc_security.h>
#include <grpcpp/security/server_credentials.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "server/access/tls_files.h"

namespace calserve {

// Server credentials that show, in every handshake, what TlsFiles has by then; connections made before are
// left alone. Over gRPC's stable certificate fetcher, because FileWatcherCertificateProvider is experimental
// and takes a certificate whose key has not come yet. Where there is a client CA, a client without a
// certificate of it gets no connection. Outlives the server that listens with it; `files` outlives both.
class TlsCredentials final : public grpc::ServerCredentials {
 public:
  TlsCredentials(const TlsFiles& files, bool client_certificates);
  ~TlsCredentials() override;

  // Not supported, and never asked for: see AccessGate.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override;
  static grpc_ssl_certificate_config_reload_status Fetch(void* self,
                                                         grpc_ssl_server_certificate_config** config);

  const TlsFiles& files_;
  std::atomic<uint64_t> shown_{0};  // generation; gRPC asks under a lock of its own
  grpc_server_credentials* credentials_ = nullptr;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_TLS_CREDENTIALS_H_
