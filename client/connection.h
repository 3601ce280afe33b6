#ifndef CALSERVE_CLIENT_CONNECTION_H_
#define CALSERVE_CLIENT_CONNECTION_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "client/client.h"

namespace calserve::client {

// The channel that a Client and its streams share, and the one place where calls are retried and gRPC's
// errors become ours. Thread-safe.
class Connection {
 public:
  explicit Connection(const ClientOptions& options);

  const ClientOptions& options() const { return options_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // Makes one call, again where it may help, within options().timeout from now on.
  absl::Status Call(const std::function<grpc::Status(grpc::ClientContext*)>& attempt) const;
  // The same with a deadline of the caller's.
  absl::Status CallUntil(absl::Time deadline,
                         const std::function<grpc::Status(grpc::ClientContext*)>& attempt) const;

  // The server's code, sentence and details; an error that no server gave says that the target cannot be
  // reached.
  absl::Status ToStatus(const grpc::Status& status) const;

 private:
  const ClientOptions options_;
  std::shared_ptr<grpc::Channel> channel_;
};

// Uniform in [0, 1), for jitter. Thread-safe.
double RandomFraction();

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_CONNECTION_H_
