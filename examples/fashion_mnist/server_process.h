#ifndef CALSERVE_EXAMPLES_FASHION_MNIST_SERVER_PROCESS_H_
#define CALSERVE_EXAMPLES_FASHION_MNIST_SERVER_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/client.h"

namespace calserve::demo {

struct ServerOptions {
  std::string binary;
  std::string model_repository;
  std::string data_dir;  // holds the store and server.log
};

// A calserve-server of our own on a free loopback port, with the embedded store. It dies with this process,
// however that ends. Destruction kills it; Stop ends it the way an operator does.
class ServerProcess {
 public:
  // Waits until it serves. An error quotes the end of its log.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(const ServerOptions& options,
                                                              absl::Duration patience);
  ~ServerProcess();

  const std::string& target() const { return target_; }
  // SIGTERM, then waits; an error unless it exits with 0 within `patience`.
  absl::Status Stop(absl::Duration patience);

 private:
  ServerProcess(ServerOptions options, std::string target, pid_t pid)
      : options_(std::move(options)), target_(std::move(target)), pid_(pid) {}

  // True once it has ended; then wait_status_ says how.
  bool HasEnded();
  std::string EndOfLog() const;

  const ServerOptions options_;
  const std::string target_;
  pid_t pid_;  // 0 once it has ended and was waited for
  int wait_status_ = 0;
};

}  // namespace calserve::demo

#endif  // CALSERVE_EXAMPLES_FASHION_MNIST_SERVER_PROCESS_H_
