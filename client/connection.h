#ifndef CALSERVE_CLIENT_CONNECTION_H_
#define CALSERVE_CLIENT_CONNECTION_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/client.h"
#include "client/connection_probe.h"
#include "client/token_source.h"

namespace calserve::client {

// FAILED_PRECONDITION that names the file.
absl::StatusOr<ChannelFiles> ReadChannelFiles(const ClientOptions& options);

// Whether a target is this machine.
bool IsThisMachine(absl::string_view target);

// The channel that a Client and its streams share, and the one place where calls are retried and gRPC's
// errors become ours. Thread-safe.
class Connection {
 public:
  Connection(const ClientOptions& options, const ChannelFiles& files, std::unique_ptr<TokenSource> token);

  const ClientOptions& options() const { return options_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // Of the calls that have no deadline: a connection of its own, on which the server is asked whether it is
  // there. Made when it is first asked for.
  std::shared_ptr<grpc::Channel> watch_channel() const;

  // Makes one call, again where it may help, within options().timeout from now on.
  absl::Status Call(const std::function<grpc::Status(grpc::ClientContext*)>& attempt) const;
  // The same with a deadline of the caller's. `cancelled`: where an attempt sets it when it cancels its own
  // call, which is CANCELLED and not made again.
  absl::Status CallUntil(absl::Time deadline,
                         const std::function<grpc::Status(grpc::ClientContext*)>& attempt,
                         const bool* cancelled = nullptr) const;
  // The same without an explanation of the error, which takes longer than the deadline.
  absl::Status TryUntil(absl::Time deadline, const std::function<grpc::Status(grpc::ClientContext*)>& attempt,
                        const bool* cancelled = nullptr) const;

  // Waits, and lets the channel connect anew meanwhile: gRPC's synchronous calls alone drive it, and a wait
  // in which nobody does would hold its handshakes up.
  void Wait(absl::Duration time) const { WaitOn(*channel_, time); }
  static void WaitOn(grpc::Channel& channel, absl::Duration time);

  // Gives a call that is made by other means than the two above its token.
  void AddToken(grpc::ClientContext* context) const;

  // The server's code, sentence and details; an error that no server gave says that the target cannot be
  // reached. Of a call that the client did not cancel: a CANCELLED without details is what gRPC gives those
  // that come while it shuts down, and is UNAVAILABLE.
  absl::Status ToStatus(const grpc::Status& status) const;

  // A last error, for a caller: one that says that the target cannot be reached also says why, where that can
  // be told, and what to change. May then take two seconds, once in a second.
  absl::Status Explain(absl::Status status) const;

 private:
  const ClientOptions options_;
  const ChannelFiles files_;
  std::shared_ptr<grpc::Channel> channel_;
  mutable std::once_flag watch_once_;
  mutable std::shared_ptr<grpc::Channel> watch_channel_;
  const std::unique_ptr<TokenSource> token_;
  mutable std::mutex explained_mu_;  // of the two below
  mutable std::string explanation_;
  mutable absl::Time explained_ = absl::InfinitePast();
};

// Uniform in [0, 1), for jitter. Thread-safe.
double RandomFraction();

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_CONNECTION_H_
