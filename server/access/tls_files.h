#ifndef CALSERVE_SERVER_ACCESS_TLS_FILES_H_
#define CALSERVE_SERVER_ACCESS_TLS_FILES_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/mutex.h"

namespace calserve {

struct TlsOptions {
  std::string certificate_file;  // PEM, the server's own first, then those that lead to its root
  std::string key_file;          // PEM, of the first
  std::string client_ca_file;    // PEM; clients must have a certificate of one of these; empty: none is asked

  bool enabled() const { return !certificate_file.empty(); }
};

// What the server shows and trusts in a handshake, in PEM. A value.
struct TlsMaterial {
  std::string certificates, key, client_ca;
  friend bool operator==(const TlsMaterial&, const TlsMaterial&) = default;
};

// The files of TLS, read again when they change. What is handed out always fits together: a certificate that
// was replaced before its key was is not taken until the key is there too. Thread-safe.
class TlsFiles final {
 public:
  // INVALID_ARGUMENT or FAILED_PRECONDITION that names the option and the file; of the key nothing is in it.
  static absl::StatusOr<std::unique_ptr<TlsFiles>> Create(const TlsOptions& options);

  std::shared_ptr<const TlsMaterial> Current() const;
  // Counts what was taken, from 1: cheaper to compare than the material.
  uint64_t generation() const;

  // Looks whether files have changed; call it every second or so, from one thread.
  void Reload();

 private:
  explicit TlsFiles(const TlsOptions& options) : options_(options) {}
  absl::StatusOr<TlsMaterial> Read() const;

  const TlsOptions options_;
  TlsMaterial seen_;  // by Reload, also what does not fit
  mutable Mutex mu_;
  std::shared_ptr<const TlsMaterial> current_ ABSL_GUARDED_BY(mu_);
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  std::string said_;  // by Reload
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_ACCESS_TLS_FILES_H_
