#ifndef CALSERVE_SERVER_TELEMETRY_REQUEST_COUNTERS_H_
#define CALSERVE_SERVER_TELEMETRY_REQUEST_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/telemetry/duration_counter.h"

namespace calserve {

// How long the parts of one answered request took.
struct RequestTiming {
  absl::Duration total;       // from received to answered
  absl::Duration queue;       // for a decoder and for an instance
  absl::Duration preprocess;  // decoding, resizing, normalising; the slowest input
  absl::Duration model;       // the forward pass that it was part of
  absl::Duration respond;     // calibrating, ordering, sealing
};

// What became of the requests of one model version. Counting takes no lock. Thread-safe.
class RequestCounters {
 public:
  void CountAnswered(int64_t rows, const RequestTiming& timing, absl::Time now) {
    answered_.Add(timing.total);
    queue_.Add(timing.queue);
    preprocess_.Add(timing.preprocess);
    model_.Add(timing.model);
    respond_.Add(timing.respond);
    rows_.fetch_add(rows, std::memory_order_relaxed);
    last_answer_.store(absl::ToUnixMillis(now), std::memory_order_relaxed);
  }
  // `code` is not kOk.
  void CountFailed(absl::StatusCode code, absl::Duration total) {
    failed_[static_cast<size_t>(code) % failed_.size()].Add(total);
  }

  const DurationCounter& answered() const { return answered_; }
  const DurationCounter& failed(absl::StatusCode code) const {
    return failed_[static_cast<size_t>(code) % failed_.size()];
  }
  // Of every code together.
  struct Failures {
    int64_t count = 0;
    absl::Duration total;
  };
  Failures failures() const {
    Failures all;
    for (const DurationCounter& of_code : failed_) {
      all.count += of_code.count();
      all.total += of_code.total();
    }
    return all;
  }
  // Of the answered requests.
  const DurationCounter& queue() const { return queue_; }
  const DurationCounter& preprocess() const { return preprocess_; }
  const DurationCounter& model() const { return model_; }
  const DurationCounter& respond() const { return respond_; }
  int64_t rows() const { return rows_.load(std::memory_order_relaxed); }
  // Milliseconds since 1970; 0 before the first.
  int64_t last_answer() const { return last_answer_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kCodes = 17;  // kOk to kUnauthenticated

  DurationCounter answered_, queue_, preprocess_, model_, respond_;
  std::array<DurationCounter, kCodes> failed_;
  std::atomic<int64_t> rows_{0};
  std::atomic<int64_t> last_answer_{0};
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_TELEMETRY_REQUEST_COUNTERS_H_
