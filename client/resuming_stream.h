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

// Requests and answers over a stream that may break and be opened again. The rules are those of
// PredictStream; the messages must have a `sequence`, which this class numbers itself and gives back as the
// caller's. Knows no gRPC.
//
// Two threads: the runner opens, reads, answers and decides about retries; for each call a writer writes what
// is due.
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
      : limits_(limits), retry_(retry), hooks_(std::move(hooks)), runner_([this] { Run(); }) {}

  ~ResumingStream() {
    {
      std::lock_guard lock(mu_);
      cancelled_ = true;
      if (transport_ != nullptr) transport_->Cancel();
    }
    changed_.notify_all();
    runner_.join();
  }

  absl::Status Send(int64_t sequence, Request request) {
    std::unique_lock lock(mu_);
    while (error_.ok() && !closed_ && static_cast<int>(in_flight_.size()) >= limits_.max_in_flight)
      Wait(lock);
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
    closed_ = true;
    changed_.notify_all();
    while (!ended_) Wait(lock);
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
      Pause(*delay);
    }
    AnswerRest();
  }

  // Until the destructor runs at most. In slices, for the hook cannot be woken.
  void Pause(absl::Duration delay) {
    const absl::Time end = absl::Now() + delay;
    for (absl::Time now; !cancelled() && (now = absl::Now()) < end;) {
      hooks_.wait(std::min(end - now, absl::Milliseconds(20)));
    }
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
      if (next == to_write_.end() || next->time > absl::Now()) {
        WaitUntil(lock, next == to_write_.end() ? absl::InfiniteFuture() : next->time);
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
    lock.unlock();
    hooks_.on_answer(sequence, std::move(response));
    lock.lock();
    in_flight_.erase(found);  // Only now, so that Finish returns after the last on_answer.
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
  }

  // The helpers below need mu_ held.

  // Ids and so deadlines grow.
  absl::Time OldestDeadline() const {
    return in_flight_.empty() ? absl::InfiniteFuture() : in_flight_.begin()->second.deadline;
  }

  // Waits for a change. Whoever waits, caller or writer, ends a call that has left a request unanswered too
  // long.
  void Wait(std::unique_lock<std::mutex>& lock) { WaitUntil(lock, absl::InfiniteFuture()); }
  void WaitUntil(std::unique_lock<std::mutex>& lock, absl::Time time) {
    const absl::Time deadline = OldestDeadline();
    if (transport_ != nullptr && !timed_out_ && absl::Now() >= deadline) {
      timed_out_ = true;
      transport_->Cancel();
    }
    if (!timed_out_) time = std::min(time, deadline);
    // Bounded: a deadline may come to be while this waits.
    changed_.wait_for(lock, absl::ToChronoNanoseconds(std::clamp(time - absl::Now(), absl::Milliseconds(1),
                                                                 absl::Milliseconds(500))));
  }

  const StreamLimits limits_;
  const RetryOptions retry_;
  const Hooks hooks_;

  std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_:
  std::map<int64_t, Item> in_flight_;  // by our id
  std::vector<Due> to_write_;          // of in_flight_, not written in this call or to be written again
  int64_t next_id_ = 1;
  Transport* transport_ = nullptr;  // of the call under way
  bool call_over_ = false;          // nothing more can be read from it
  bool timed_out_ = false;          // it was cancelled for a request that was not answered in time
  bool closed_ = false;             // Finish was called
  bool cancelled_ = false;          // the destructor runs
  bool ended_ = false;              // the runner has answered everything
  absl::Status error_;              // why the stream failed

  std::thread runner_;  // Last: starts when everything above is there.
};

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_RESUMING_STREAM_H_
