#ifndef CALSERVE_SERVER_PREDICTION_DECODE_POOL_H_
#define CALSERVE_SERVER_PREDICTION_DECODE_POOL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/bounded_queue.h"
#include "server/base/clock.h"
#include "server/base/monotonic_clock.h"
#include "server/base/mutex.h"
#include "server/batching/batcher.h"
#include "server/prediction/decoding_options.h"

namespace calserve {

// Until when somebody waits for what is done of a request.
struct RequestLimits {
  absl::Time received;
  absl::Time deadline = absl::InfiniteFuture();
  absl::Time give_up = absl::InfiniteFuture();  // queue_timeout after `received`
  std::shared_ptr<const CancelFlag> cancel;     // may be null
  int priority = 1;                             // its level, from 1, the most urgent

  // OK while somebody does; else CANCELLED, DEADLINE_EXCEEDED, or RESOURCE_EXHAUSTED after queue_timeout.
  absl::Status Check(absl::Time now) const;
};

// Threads that decode images, with a queue for each model, which are served in turn, and in it one for each
// level of priority, served in turn as well: what is urgent waits for as many others as urgent ones, and a
// flood of it delays no other by more than that. As in a batcher's queue, the last quarter of a model's room
// is for level 1 alone, unless its queue is empty. An image whose request
// nobody waits for any more leaves its queue also while every thread is busy, within kSweepEvery of real
// time. Thread-safe. Destruction runs what is queued, then stops.
class DecodePool final {
 public:
  static constexpr absl::Duration kSweepEvery = absl::Milliseconds(10);

  struct Image {
    // Called once, with the time: on a decode thread with OK, or there or on the sweeper's with why it is not
    // wanted any more: then it has to be short.
    absl::AnyInvocable<void(absl::Status wanted, absl::Time now) &&> run;
    int64_t bytes = 0;  // what it counts in the queue
  };

  // `clock`, of the limits, and `stopwatch`, of how long an image takes, outlive the pool.
  DecodePool(const DecodingOptions& options, const Clock& clock, const MonotonicClock& stopwatch);
  ~DecodePool();

  // All images of a request, or none: false when they do not fit.
  bool TrySubmit(absl::string_view model, const std::shared_ptr<const RequestLimits>& limits,
                 std::vector<Image> images);

  // A low estimate of how long so many images more of a model and level take from now on, by the measured
  // time of an image; zero while a thread is idle or nothing is measured.
  absl::Duration ExpectedTime(absl::string_view model, int priority, int images) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // How long a thread takes for an image, as measured; zero before the first.
  absl::Duration ExpectedDecoding() const ABSL_LOCKS_EXCLUDED(mu_);

  // Images that no thread has taken yet.
  size_t queued() const { return queue_.size(); }

 private:
  struct Queued {
    std::shared_ptr<const RequestLimits> limits;
    Image image;
  };

  void DecodeLoop();
  void SweepLoop() ABSL_LOCKS_EXCLUDED(mu_);
  void Sweep();

  const DecodingOptions options_;
  const Clock& clock_;
  const MonotonicClock& stopwatch_;
  const int decoders_;
  BoundedQueue<Queued> queue_;
  mutable Mutex mu_;
  CondVar sweep_;                               // For the sweeper: watching_ or stopping_.
  bool watching_ ABSL_GUARDED_BY(mu_) = false;  // something is queued
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  int busy_ ABSL_GUARDED_BY(mu_) = 0;            // decode threads
  absl::Duration typical_ ABSL_GUARDED_BY(mu_);  // an image keeps a thread so long; zero before the first
  std::vector<std::jthread> threads_;            // Last: joined before what they read goes.
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_DECODE_POOL_H_
