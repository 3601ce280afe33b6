#ifndef CALSERVE_SERVER_RPC_STREAM_PIPE_H_
#define CALSERVE_SERVER_RPC_STREAM_PIPE_H_

#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "server/batching/batcher.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_tracker.h"
#include "server/rpc/polling_threads.h"
#include "server/rpc/status.h"
#include "server/rpc/stream_window.h"
#include "server/rpc/tensors_in_place.h"
#include "server/rpc/wire_message.h"

namespace calserve {

// A bidirectional stream that answers every request with one response, in the order of the requests or as
// they finish. A client that does not read its answers is not read from either (StreamWindow). An error from
// Handle ends the stream, as does a message that cannot be read: no more is read but what is being read, and
// the stream ends in the place of an answer, once all that came before is answered: where gRPC holds a small
// answer back for one that then does not come, it leaves with that end. An answer that there is no room for,
// where `when_full` says so, ends it at once. What was not answered by then is to be sent again. A request
// beyond its caller's rate is refused instead of handled. Deletes itself.
template <typename Request, typename Response>
class StreamPipe : public ByteStream {
 public:
  using Answer = std::function<void(absl::StatusOr<Response>)>;
  enum class Order { kOfRequests, kAsFinished };

  // `admission`: of AccessGate::Authorize.
  StreamPipe(CallTracker& calls, Admission admission, Order order, size_t window, WhenFull when_full)
      : order_(order),
        when_full_(when_full),
        cancel_(std::make_shared<CancelFlag>()),
        admission_(std::move(admission)),
        window_(window) {
    if (admission_.ok()) call_ = calls.Begin([this] { StopReading(); });
  }

  // Starts reading; call once the object is complete.
  void Start() {
    MutexLock lock(&mu_);
    started_ = true;
    if (call_ == nullptr) {
      stopping_ = true;
      error_ = admission_.ok() ? CallTracker::ShuttingDown() : admission_.status();
    }
    if (!stopping_) ReadMore();
    Advance();
  }

  void OnReadDone(bool ok) final {
    const absl::Time received = absl::Now();
    grpc::ByteBuffer bytes;
    Slot* slot = nullptr;
    {
      MutexLock lock(&mu_);
      if (!ok || finished_) {  // A read that was under way may well succeed after Finish.
        reading_ = false;
        no_more_reads_ = true;
        Advance();
        return;
      }
      bytes.Swap(&incoming_);
      slot = slots_.emplace_back(std::make_unique<Slot>()).get();
      slot->number = ++messages_;
    }
    // The slot lives until its answer is written, and this object until the last slot is gone. The next
    // request is read only when this one has been handed on: requests are handled one at a time, in their
    // order.
    Answer answer = [this, slot](absl::StatusOr<Response> response) { Fill(slot, std::move(response)); };
    auto request = std::make_unique<Request>();
    const absl::Status read = ParseMessage(bytes, *request, slot->request, slot->tensors);
    {
      MutexLock lock(&mu_);
      window_.Read(slot->request.bytes());
    }
    if (!read.ok()) {
      const absl::Status why = OfMessage(slot->number, read);
      admission_.MessageUnread(why);
      answer(why);
    } else if (const absl::Status may = admission_.NextMessage(); may.ok()) {
      Handle(std::move(request), slot->tensors, received, std::move(answer));
    } else {
      admission_.MessageRefused(may);
      Refuse(*request, may, std::move(answer));
    }
    MutexLock lock(&mu_);
    reading_ = false;
    if (!stopping_ && !finished_) ReadMore();
  }

  void OnWriteDone(bool ok) final {
    MutexLock lock(&mu_);
    writing_ = false;
    if (!ok) broken_ = true;
    window_.Written(slots_.front()->answer_bytes);
    slots_.pop_front();
    if (!stopping_) ReadMore();
    Advance();
  }

  void OnCancel() final {
    cancel_->Cancel();
    MutexLock lock(&mu_);
    broken_ = true;
    Advance();
  }

  void OnDone() final {
    call_.reset();             // No on_drain from here on.
    { MutexLock lock(&mu_); }  // Whoever called Finish has let go of the lock.
    delete this;
  }

 protected:
  // Answers one request by calling `answer` exactly once, from any thread, also from within Handle. Its large
  // `tensors` stay until then. It was `received` before it was parsed.
  virtual void Handle(std::unique_ptr<Request> request, const TensorsInPlace& tensors, absl::Time received,
                      Answer answer) = 0;
  // Answers a request that its caller's rate does not allow: here by ending the stream.
  virtual void Refuse(const Request&, const absl::Status& why, Answer answer) { answer(why); }
  std::shared_ptr<const CancelFlag> cancel() const { return cancel_; }
  // Who has opened the stream; only of one that was admitted.
  const std::string& who() const { return admission_.who(); }
  // Of a request whose answer is an error that does not end the stream; before it is answered.
  void MessageFailed(const absl::Status& why) const { admission_.MessageFailed(why); }

 private:
  struct Slot {
    int64_t number = 0;                        // of the message, from 1
    ByteBudget::Share request;                 // until it is answered
    TensorsInPlace tensors;                    // of it, as long
    std::optional<grpc::ByteBuffer> response;  // unset: it is not answered yet
    size_t answer_bytes = 0;                   // of it
    absl::Status error;                        // or what the stream ends with in its place
  };

  // Bytes of an answer that may wait for the next one; larger ones gain nothing by it.
  static constexpr size_t kMostHinted = 4096;

  static absl::Status OfMessage(int64_t number, const absl::Status& status) {
    return WithMessage(status, absl::StrCat("message ", number, " of the stream: ", status.message()));
  }

  void StopReading() {
    MutexLock lock(&mu_);
    stopping_ = true;
    if (error_.ok()) error_ = CallTracker::ShuttingDown();
    Advance();
  }

  void Fill(Slot* slot, absl::StatusOr<Response> response) {
    { const TensorsInPlace done = std::move(slot->tensors); }
    grpc::ByteBuffer bytes;
    absl::Status status = response.status();
    if (response.ok() && slot->number < ends_with_) status = SerializeMessage(*response, bytes, when_full_);
    MutexLock lock(&mu_);
    slot->answer_bytes = bytes.Length();
    window_.Answered(slot->request.bytes(), slot->answer_bytes);
    slot->request = ByteBudget::Share();
    slot->response.emplace().Swap(&bytes);
    slot->error = status;
    if (!status.ok()) {
      stopping_ = true;
      ends_with_ = std::min<int64_t>(ends_with_, slot->number);
      const bool no_room = response.ok() && absl::IsResourceExhausted(status);
      if (no_room) Fail(status);  // Those that wait to be read take the room.
    }
    if (!gathering_) {
      gathering_ = KeepForBatch(admission_.call(), [this] {
        MutexLock here(&mu_);
        gathering_ = false;
        Advance();
      });
    }
    Advance();
  }

  void ReadMore() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (reading_ || no_more_reads_ || !window_.MayRead()) return;
    reading_ = true;
    StartRead(&incoming_);
  }

  void Fail(const absl::Status& error) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!failed_) error_ = error;
    failed_ = true;
  }

  // Writes what is due, and finishes once nothing can follow.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!started_ || finished_ || writing_) return;  // call_ is set before the start.
    if (gathering_ && !FollowsHinted()) return;      // What was kept for the batch needs the stream.
    const bool due = !broken_ && !failed_ && NextToFront();
    if (due && !slots_.front()->error.ok()) Fail(slots_.front()->error);
    if (broken_ || failed_) {
      while (!slots_.empty() && DropOneAnswered()) {
      }
    } else if (due) {
      writing_ = true;
      // A small one that an answer follows leaves with that, or with the end. Not the first of the stream:
      // gRPC 1.51 holds its initial metadata back as well, and does not complete the write until they are
      // sent.
      const std::optional<size_t> next = NextDue(1);
      hinted_ = std::exchange(written_, true) && slots_.front()->answer_bytes < kMostHinted &&
                next.has_value() && slots_[*next]->error.ok();
      grpc::WriteOptions options;
      if (hinted_) options.set_buffer_hint();
      StartWrite(&*slots_.front()->response, options);
      return;
    }
    // A read under way ends with the stream: Finish while reading is legal and makes the read fail.
    if (slots_.empty() && (no_more_reads_ || stopping_ || broken_)) {
      finished_ = true;
      const absl::Status end = broken_ ? absl::CancelledError("cancelled") : error_;
      if (call_ == nullptr) {
        admission_.Refuse(end);
      } else {
        admission_.End(end);
      }
      Finish(broken_ ? grpc::Status(grpc::StatusCode::CANCELLED, "cancelled") : ToGrpcStatus(end));
    }
  }

  // Where the answered slot is, of those from `first` on, that may be written next: none that was read after
  // an error, nor the error before all others.
  std::optional<size_t> NextDue(size_t first) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (size_t i = first; i < slots_.size(); ++i) {
      if (slots_[i]->response.has_value()) {
        return i == first || slots_[i]->error.ok() ? std::optional(i) : std::nullopt;
      }
      if (order_ == Order::kOfRequests) return std::nullopt;
    }
    return std::nullopt;
  }

  // Whether an answer is due that gRPC holds the last one back for.
  bool FollowsHinted() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!hinted_ || broken_ || failed_) return false;
    const std::optional<size_t> next = NextDue(0);
    return next.has_value() && slots_[*next]->error.ok();
  }

  // Brings the next one that is due to the front, if there is one.
  bool NextToFront() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const std::optional<size_t> next = NextDue(0);
    if (next.has_value()) {
      const auto slot = slots_.begin() + static_cast<std::ptrdiff_t>(*next);
      std::rotate(slots_.begin(), slot, slot + 1);
    }
    return next.has_value();
  }

  bool DropOneAnswered() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (auto slot = slots_.begin(); slot != slots_.end(); ++slot) {
      if ((*slot)->response.has_value()) {
        slots_.erase(slot);
        return true;
      }
    }
    return false;
  }

  const Order order_;
  const WhenFull when_full_;
  const std::shared_ptr<CancelFlag> cancel_;
  Admission admission_;
  std::unique_ptr<CallTracker::Call> call_;
  // The message whose answer is what the stream ends with: of those after it none is needed.
  std::atomic<int64_t> ends_with_ = std::numeric_limits<int64_t>::max();

  Mutex mu_;
  grpc::ByteBuffer incoming_ ABSL_GUARDED_BY(mu_);
  int64_t messages_ ABSL_GUARDED_BY(mu_) = 0;  // read
  std::deque<std::unique_ptr<Slot>> slots_
      ABSL_GUARDED_BY(mu_);  // read and not yet written, in the order of reading
  StreamWindow window_ ABSL_GUARDED_BY(mu_);
  absl::Status error_ ABSL_GUARDED_BY(mu_);  // what the stream ends with
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool written_ ABSL_GUARDED_BY(mu_) = false;    // once there was a first write
  bool hinted_ ABSL_GUARDED_BY(mu_) = false;     // the last write waits for the next one
  bool gathering_ ABSL_GUARDED_BY(mu_) = false;  // its turn to write comes with the answers of a batch
  bool no_more_reads_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;  // reads no more: draining, or after an error
  bool failed_ ABSL_GUARDED_BY(mu_) = false;    // writes no more: after an error
  bool broken_ ABSL_GUARDED_BY(mu_) = false;    // the client is gone
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_STREAM_PIPE_H_
