#ifndef CALSERVE_CLIENT_RESUMING_STREAM_H_
#define CALSERVE_CLIENT_RESUMING_STREAM_H_

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/predict_stream.h"
#include "client/retry.h"

namespace calserve::client {

// One bidirectional call, as gRPC's synchronous API has it: Start first; then one thread writes while another
// reads; Finish once both are done. Cancel at any time, from any thread.
template <typename Request, typename Response>
class StreamTransport {
 public:
  virtual ~StreamTransport() = default;
  virtual void Start() = 0;  // may wait for a connection
  virtual bool Write(const Request& request) = 0;
  virtual void WritesDone() = 0;
  virtual bool Read(Response* response) = 0;
  virtual absl::Status Finish() = 0;
  virtual void Cancel() = 0;
};

// INVALID_ARGUMENT with the field and its value.
inline absl::Status CheckStreamLimits(const StreamLimits& limits) {
  if (limits.max_in_flight < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("StreamLimits.max_in_flight must be >= 1; was ", limits.max_in_flight));
  }
  if (limits.timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("StreamLimits.timeout must be > 0; was ", absl::FormatDuration(limits.timeout)));
  }
  return absl::OkStatus();
}

// Requests and answers over a stream that may break and be opened again. The rules are those of
// PredictStream; the messages must have a `sequence`, which this class numbers itself and gives back as the
// caller's. Knows no gRPC.
//
// Three threads: the runner opens, reads, answers and decides about retries; for each call a writer writes
// what is due; the watchdog cancels a call that leaves a request unanswered for too long.
template <typename Request, typename Response>
class ResumingStream {
 public:
  using Transport = StreamTransport<Request, Response>;
  struct Hooks {
    std::function<std::unique_ptr<Transport>()> open;
    // Why an answer is a failure of its request; OK if it is none.
    std::function<absl::Status(const Response&)> failure_of;
    std::function<void(int64_t sequence, absl::StatusOr<Response> answer)> on_answer;
    std::function<double()> random;  // [0, 1), for jitter
    // Waits so long, and lets connections be made meanwhile.
    std::function<void(absl::Duration)> wait;
  };

  ResumingStream(const StreamLimits& limits, const RetryOptions& retry, Hooks hooks)
      : limits_(limits),
        retry_(retry),
        hooks_(std::move(hooks)),
        runner_([this] { Run(); }),
        watchdog_([this] { Watch(); }) {}

  ~ResumingStream() {
    {
      std::lock_guard lock(mu_);
      cancelled_ = true;
      if (transport_ != nullptr) transport_->Cancel();
    }
    changed_.notify_all();
    runner_.join();
    watchdog_.join();
  }

  absl::Status Send(int64_t sequence, Request request) {
    std::unique_lock lock(mu_);
    while (error_.ok() && !closed_ && static_cast<int>(in_flight_.size()) >= limits_.max_in_flight) {
      changed_.wait(lock);
    }
    if (!error_.ok()) return error_;
    if (closed_) return absl::FailedPreconditionError("nothing can be sent on a stream after Finish");
    const int64_t id = next_id_++;
    const absl::Time now = absl::Now();
    request.set_sequence(id);
    in_flight_.emplace(
        id, Item{sequence, std::make_shared<const Request>(std::move(request)), now + limits_.timeout});
    to_write_.push_back({id, now});
    changed_.notify_all();
    return absl::OkStatus();
  }

  absl::Status Finish() {
    std::unique_lock lock(mu_);
    if (!closed_) last_change_ = absl::Now();
    closed_ = true;
    changed_.notify_all();
    while (!ended_) changed_.wait(lock);
    return error_;
  }

 private:
  struct Item {
    int64_t sequence;  // the caller's
    std::shared_ptr<const Request> request;
    absl::Time deadline;
    int attempts = 1;
  };
  struct Due {
    int64_t id;
    absl::Time time;
  };

  void Run() {
    for (int failures = 0;;) {
      std::unique_ptr<Transport> transport = NextTransport();
      if (transport == nullptr) break;
      if (RunCall(*transport)) failures = 0;
      const std::optional<absl::Duration> delay = AfterCall(transport->Finish(), ++failures);
      if (!delay.has_value()) break;
      WaitInSlices(
          *delay, [this] { return cancelled(); }, hooks_.wait);
    }
    AnswerRest();
  }

  bool cancelled() {
    std::lock_guard lock(mu_);
    return cancelled_;
  }

  // A call, not started, once there is something to send; null when nothing will be.
  std::unique_ptr<Transport> NextTransport() {
    std::unique_lock lock(mu_);
    while (!cancelled_ && !closed_ && in_flight_.empty()) changed_.wait(lock);
    if (cancelled_ && error_.ok())
      error_ = absl::CancelledError("the stream was destroyed before it was finished");
    if (cancelled_ || in_flight_.empty()) return nullptr;
    to_write_.clear();
    for (const auto& [id, item] : in_flight_) to_write_.push_back({id, absl::InfinitePast()});
    std::unique_ptr<Transport> transport = hooks_.open();
    transport_ = transport.get();
    call_over_ = timed_out_ = false;
    return transport;
  }

  // Reads answers until the call ends; true if there was one.
  bool RunCall(Transport& transport) {
    bool answered = false;
    transport.Start();
    std::thread writer([&] { WriteWhatIsDue(transport); });
    for (Response response; transport.Read(&response);) {
      answered = true;
      Deliver(std::move(response));
    }
    {
      std::lock_guard lock(mu_);
      call_over_ = true;
    }
    changed_.notify_all();
    writer.join();
    return answered;
  }

  void WriteWhatIsDue(Transport& transport) {
    std::unique_lock lock(mu_);
    while (!call_over_) {
      if (closed_ && in_flight_.empty()) {
        lock.unlock();
        return transport.WritesDone();
      }
      const auto next = std::min_element(to_write_.begin(), to_write_.end(),
                                         [](const Due& a, const Due& b) { return a.time < b.time; });
      if (next == to_write_.end()) {
        changed_.wait(lock);
        continue;
      }
      if (const absl::Duration early = next->time - absl::Now(); early > absl::ZeroDuration()) {
        changed_.wait_for(lock, absl::ToChronoNanoseconds(early));
        continue;
      }
      const auto item = in_flight_.find(next->id);
      to_write_.erase(next);
      if (item == in_flight_.end()) continue;
      const std::shared_ptr<const Request> request = item->second.request;
      lock.unlock();
      if (!transport.Write(*request)) return;
      lock.lock();
    }
  }

  void Deliver(Response response) {
    std::unique_lock lock(mu_);
    const auto found = in_flight_.find(response.sequence());
    if (found == in_flight_.end()) return;
    Item& item = found->second;
    if (const absl::Status failure = hooks_.failure_of(response); !failure.ok()) {
      const absl::Time now = absl::Now();
      const std::optional<absl::Duration> delay =
          NextRetryDelay(retry_, failure, item.attempts++, now, item.deadline, hooks_.random());
      if (delay.has_value()) {
        to_write_.push_back({found->first, now + *delay});
        changed_.notify_all();
        return;
      }
    }
    const int64_t sequence = item.sequence;
    answering_ = found->first;
    lock.unlock();
    hooks_.on_answer(sequence, std::move(response));
    lock.lock();
    answering_ = 0;
    in_flight_.erase(found);  // Only now, so that Finish returns after the last on_answer.
    last_change_ = absl::Now();
    changed_.notify_all();
  }

  // What to do after a call that ended with `status`: resume after a delay, or nothing more (error_ says
  // why).
  std::optional<absl::Duration> AfterCall(absl::Status status, int failures) {
    std::lock_guard lock(mu_);
    transport_ = nullptr;
    if (cancelled_) {
      error_ = absl::CancelledError("the stream was destroyed before it was finished");
      return std::nullopt;
    }
    if (in_flight_.empty()) return closed_ ? std::nullopt : std::make_optional(absl::ZeroDuration());
    if (timed_out_) {
      error_ = absl::DeadlineExceededError(absl::StrCat("no answer to a request of the stream within ",
                                                        absl::FormatDuration(limits_.timeout)));
      return std::nullopt;
    }
    if (status.ok()) {
      status = absl::UnavailableError(
          absl::StrCat("the server ended the stream and left ", in_flight_.size(), " requests unanswered"));
    }
    const std::optional<absl::Duration> delay =
        NextRetryDelay(retry_, status, failures, absl::Now(), OldestDeadline(), hooks_.random());
    if (!delay.has_value()) error_ = std::move(status);
    return delay;
  }

  void AnswerRest() {
    std::unique_lock lock(mu_);
    for (; !in_flight_.empty(); in_flight_.erase(in_flight_.begin())) {
      const int64_t sequence = in_flight_.begin()->second.sequence;
      lock.unlock();
      hooks_.on_answer(sequence, error_);  // error_ changes no more.
      lock.lock();
    }
    ended_ = true;
    changed_.notify_all();
    ended_changed_.notify_all();
  }

  // The watchdog. Is not told of what is sent: that is due later than in limits_.timeout.
  void Watch() {
    std::unique_lock lock(mu_);
    while (!ended_) {
      const absl::Time now = absl::Now(), deadline = CallDeadline();
      if (now >= deadline && transport_ != nullptr && !timed_out_) {
        timed_out_ = true;
        transport_->Cancel();
      }
      // A deadline that has passed: until the call has ended.
      const absl::Duration pause =
          now >= deadline ? absl::Milliseconds(10) : std::min(deadline - now, limits_.timeout);
      // Bounded, as the clock of deadlines may be set.
      ended_changed_.wait_for(
          lock, absl::ToChronoNanoseconds(std::clamp(pause, absl::Milliseconds(1), absl::Seconds(1))));
    }
  }

  // The helpers below need mu_ held.

  // Ids and so deadlines grow. What is being answered has none.
  absl::Time OldestDeadline() const {
    for (const auto& [id, item] : in_flight_) {
      if (id != answering_) return item.deadline;
    }
    return absl::InfiniteFuture();
  }

  // Until when a call may go on: with everything answered the server has only to end it.
  absl::Time CallDeadline() const {
    return closed_ && in_flight_.empty() ? last_change_ + limits_.timeout : OldestDeadline();
  }

  const StreamLimits limits_;
  const RetryOptions retry_;
  const Hooks hooks_;

  std::mutex mu_;
  std::condition_variable changed_;
  std::condition_variable ended_changed_;  // of ended_ alone, for the watchdog
  // Guarded by mu_:
  std::map<int64_t, Item> in_flight_;  // by our id
  std::vector<Due> to_write_;          // of in_flight_, not written in this call or to be written again
  int64_t next_id_ = 1;
  int64_t answering_ = 0;           // whose on_answer runs; 0: none
  absl::Time last_change_;          // when the last answer was given, or Finish called
  Transport* transport_ = nullptr;  // of the call under way
  bool call_over_ = false;          // nothing more can be read from it
  bool timed_out_ = false;          // the watchdog has cancelled it
  bool closed_ = false;             // Finish was called
  bool cancelled_ = false;          // the destructor runs
  bool ended_ = false;              // the runner has answered everything
  // Why the stream failed.
  absl::Status error_ = CheckStreamLimits(limits_);

  std::thread runner_, watchdog_;  // Last: start when everything above is there.
};

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_RESUMING_STREAM_H_
