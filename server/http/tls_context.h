#ifndef CALSERVE_SERVER_HTTP_TLS_CONTEXT_H_
#define CALSERVE_SERVER_HTTP_TLS_CONTEXT_H_

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "server/access/tls_files.h"
#include "server/base/mutex.h"

namespace calserve {

// OpenSSL's side of TlsFiles: TLS 1.2 and later, HTTP/1.1; a client certificate is asked for where there is a
// client CA, and must then be of it, but need not be there (probes and browsers have none). Thread-safe.
class TlsContext final {
 public:
  // `files` outlives the object.
  explicit TlsContext(const TlsFiles& files) : files_(files) {}

  // For the next handshake; null where OpenSSL does not take the files.
  std::shared_ptr<SSL_CTX> Current();

 private:
  const TlsFiles& files_;
  Mutex mu_;
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  std::shared_ptr<SSL_CTX> context_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_TLS_CONTEXT_H_
