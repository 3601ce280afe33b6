#include "client/connection.h"

#include <grpc/grpc.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <limits>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "calibration_io/file.h"
#include "client/errors.h"
#include "text/loopback.h"

namespace calserve::client {
namespace {

absl::StatusOr<std::string> ReadPem(absl::string_view option, const std::string& file) {
  if (file.empty()) return std::string();
  constexpr int64_t kMaxPemBytes = 16 << 20;  // a system's whole bundle has a quarter of a MiB
  absl::StatusOr<std::string> pem = ReadRegularFile(file, kMaxPemBytes);
  if (!pem.ok()) return absl::FailedPreconditionError(absl::StrCat(option, ": ", pem.status().message()));
  if (!absl::StrContains(*pem, "-----BEGIN ")) {
    return absl::FailedPreconditionError(
        absl::StrCat(option, ": ", file, " must be PEM; has no -----BEGIN line"));
  }
  return pem;
}

std::shared_ptr<grpc::ChannelCredentials> Credentials(const ClientOptions& options,
                                                      const ChannelFiles& files) {
  if (!options.tls) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({files.ca, files.key, files.certificate});
}

// What a channel of ours is made with.
grpc::ChannelArguments Arguments(const ClientOptions& options, int keepalive_time_ms,
                                 int keepalive_timeout_ms) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.max_message_bytes);
  // Our own retries follow RetryOptions; gRPC's would count on top of them.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // A new try soon, so that a client that waits for a starting server is not held up by the channel's own
  // backoff.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // In spite of its name this is how long an attempt may take: for a server that is far away, or slow to say
  // anything.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_time_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_timeout_ms);
  if (IsThisMachine(options.target)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

// The kernel breaks a connection on which nothing has been acknowledged for 30 s (TCP_USER_TIMEOUT), not its
// 15 minutes: later calls get another. gRPC sets that where there is a keepalive; this one never pings.
grpc::ChannelArguments CallArguments(const ClientOptions& options) {
  return Arguments(options, /*keepalive_time_ms=*/std::numeric_limits<int>::max() - 1,
                   /*keepalive_timeout_ms=*/30'000);
}

// Pings are for the calls without a deadline alone: behind megabytes of an upload that a slow network has
// still to carry, a ping is late, and its connection would be given up though nothing is wrong.
grpc::ChannelArguments WatchArguments(const ClientOptions& options) {
  // A caller who asks for the next report seldom lets nobody read the answer but gRPC's own thread, every
  // 5 s.
  constexpr absl::Duration kMinTimeout = absl::Seconds(10);
  const auto ms = [](absl::Duration time) { return static_cast<int>(absl::ToInt64Milliseconds(time)); };
  grpc::ChannelArguments arguments =
      Arguments(options, ms(options.keepalive_time), ms(std::max(options.keepalive_time, kMinTimeout)));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // a silent stream is asked for, too
  return arguments;
}

}  // namespace

bool IsThisMachine(absl::string_view target) {
  return absl::StartsWith(target, "unix:") || IsLoopback(target);
}

absl::StatusOr<ChannelFiles> ReadChannelFiles(const ClientOptions& options) {
  ChannelFiles files;
  absl::Status status;
  const auto read = [&status](absl::string_view option, const std::string& file, std::string* pem) {
    absl::StatusOr<std::string> content = ReadPem(option, file);
    if (content.ok()) *pem = *std::move(content);
    status.Update(content.status());
  };
  read("ca_file", options.ca_file, &files.ca);
  read("certificate_file", options.certificate_file, &files.certificate);
  read("key_file", options.key_file, &files.key);
  if (!status.ok()) return status;
  return files;
}

double RandomFraction() {
  thread_local std::mt19937_64 engine{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(engine);
}

Connection::Connection(const ClientOptions& options, const ChannelFiles& files,
                       std::unique_ptr<TokenSource> token)
    : options_(options), files_(files), token_(std::move(token)) {
  // gRPC 1.51 stops when its last object goes, and then now and then aborts the process: its poller may still
  // wait on what is closed ("epoll_wait error: Bad file descriptor"). So it is kept until the process ends.
  static const bool kept = (grpc_init(), true);
  static_cast<void>(kept);
  channel_ = grpc::CreateCustomChannel(options.target, Credentials(options, files), CallArguments(options));
}

std::shared_ptr<grpc::Channel> Connection::watch_channel() const {
  std::call_once(watch_once_, [this] {
    watch_channel_ =
        grpc::CreateCustomChannel(options_.target, Credentials(options_, files_), WatchArguments(options_));
  });
  return watch_channel_;
}

void Connection::AddToken(grpc::ClientContext* context) const {
  if (std::string header = token_->Header(); !header.empty()) context->AddMetadata("authorization", header);
}

absl::Status Connection::Call(const std::function<grpc::Status(grpc::ClientContext*)>& attempt) const {
  return CallUntil(absl::Now() + options_.timeout, attempt);
}

absl::Status Connection::CallUntil(absl::Time deadline,
                                   const std::function<grpc::Status(grpc::ClientContext*)>& attempt,
                                   const bool* cancelled) const {
  return Explain(TryUntil(deadline, attempt, cancelled));
}

absl::Status Connection::TryUntil(absl::Time deadline,
                                  const std::function<grpc::Status(grpc::ClientContext*)>& attempt,
                                  const bool* cancelled) const {
  for (int attempts = 1;; ++attempts) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    AddToken(&context);
    const grpc::Status answer = attempt(&context);
    if (answer.ok()) return absl::OkStatus();
    if (cancelled != nullptr && *cancelled)
      return absl::CancelledError("the call was cancelled by its caller");
    const absl::Status status = ToStatus(answer);
    const std::optional<absl::Duration> delay =
        NextRetryDelay(options_.retry, status, attempts, absl::Now(), deadline, RandomFraction());
    if (!delay.has_value()) return status;
    Wait(*delay);
  }
}

void Connection::WaitOn(grpc::Channel& channel, absl::Duration time) {
  const absl::Time end = absl::Now() + time;
  while (absl::Now() < end) {
    const grpc_connectivity_state state = channel.GetState(/*try_to_connect=*/true);
    channel.WaitForStateChange(state, absl::ToChronoTime(end));
  }
}

absl::Status Connection::Explain(absl::Status status) const {
  constexpr absl::Duration kAgain = absl::Seconds(1), kTimeout = absl::Seconds(2);
  // A name that does not resolve is said already, and would be looked up again.
  if (!IsUnreachable(status) || absl::StrContains(status.message(), "DNS resolution failed")) return status;
  const std::lock_guard<std::mutex> lock(explained_mu_);
  if (absl::Now() - explained_ > kAgain) {
    explanation_ = WhyNoConnection(options_, files_, kTimeout);
    explained_ = absl::Now();
  }
  if (explanation_.empty()) return status;
  absl::Status explained(status.code(), absl::StrCat("cannot reach ", options_.target, ": ", explanation_));
  MarkUnreachable(&explained);
  return explained;
}

absl::Status Connection::ToStatus(const grpc::Status& from) const {
  if (from.ok()) return absl::OkStatus();
  absl::Status status(static_cast<absl::StatusCode>(from.error_code()), from.error_message());
  if (!from.error_details().empty()) {
    AddErrorDetails(from.error_details(), &status);
    return status;
  }
  // Our server gives details with every error; a bare CANCELLED or UNAVAILABLE is the transport's, and so is
  // a deadline that passed before there was a connection.
  if (absl::IsCancelled(status))
    status = absl::UnavailableError("the server ended the call, as when it stops");
  const bool no_connection = channel_->GetState(/*try_to_connect=*/false) != GRPC_CHANNEL_READY;
  if (absl::IsUnavailable(status) || (absl::IsDeadlineExceeded(status) && no_connection)) {
    status =
        absl::Status(status.code(), absl::StrCat("cannot reach ", options_.target, ": ", status.message()));
    MarkUnreachable(&status);
  }
  return status;
}

}  // namespace calserve::client
