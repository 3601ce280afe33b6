#ifndef CALSERVE_SERVER_TELEMETRY_REQUEST_COUNTERS_H_
#define CALSERVE_SERVER_TELEMETRY_REQUEST_COUNTERS_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/telemetry/duration_counter.h"
#include "server/telemetry/histogram.h"
#include "server/telemetry/outcome_counters.h"

namespace calserve {

// How long the parts of one answered request took. What it waited for is as long as it waited; what others
// had a share in, or what ran side by side, has a second figure: what it cost.
struct RequestTiming {
  absl::Duration until_answer;     // from received to answered, without handing the answer on
  absl::Duration receive;          // from the handler's start until it was queued
  absl::Duration queue;            // for a decoder and for an instance
  absl::Duration preprocess;       // decoding, resizing, normalising; the slowest input
  absl::Duration preprocess_cost;  // of all inputs together
  absl::Duration model;            // the forward pass that it was part of
  absl::Duration model_cost;       // its share of that, by rows
  absl::Duration calibrate;        // calibrating, ordering, sealing
};

// What became of the requests of one model version. Counting takes no lock. Thread-safe.
class RequestCounters {
 public:
  void CountAnswered(Rpc rpc, int64_t rows, const RequestTiming& timing, absl::Time now) {
    outcomes_.Count(rpc, absl::StatusCode::kOk);
    answered_.Add(timing.until_answer);
    queue_.Add(timing.queue);
    preprocess_.Add(timing.preprocess);
    model_.Add(timing.model);
    calibrate_.Add(timing.calibrate);
    AddTo(receive_nanos_, timing.receive);
    AddTo(preprocess_cost_nanos_, timing.preprocess_cost);
    AddTo(model_cost_nanos_, timing.model_cost);
    rows_.fetch_add(rows, std::memory_order_relaxed);
    last_answer_.store(absl::ToUnixMillis(now), std::memory_order_relaxed);
  }
  // Of an answered request, once its answer is what is sent: how long that took, and all of it.
  void CountResponded(absl::Duration respond, absl::Duration total) {
    respond_.Add(respond);
    total_.Add(total);
  }
  // Of a call that asks for no prediction.
  void CountCall(Rpc rpc, absl::StatusCode code) { outcomes_.Count(rpc, code); }
  // `code` is not kOk.
  void CountFailed(Rpc rpc, absl::StatusCode code, absl::Duration total) {
    outcomes_.Count(rpc, code);
    failed_[static_cast<size_t>(code) % failed_.size()].Add(total);
  }

  const OutcomeCounters& outcomes() const { return outcomes_; }
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
  const ServingHistogram& queue() const { return queue_; }
  const ServingHistogram& preprocess() const { return preprocess_; }
  const ServingHistogram& model() const { return model_; }
  const ServingHistogram& calibrate() const { return calibrate_; }
  const ServingHistogram& respond() const { return respond_; }
  const ServingHistogram& total() const { return total_; }
  absl::Duration receive_time() const { return Load(receive_nanos_); }
  absl::Duration preprocess_cost() const { return Load(preprocess_cost_nanos_); }
  absl::Duration model_cost() const { return Load(model_cost_nanos_); }
  int64_t rows() const { return rows_.load(std::memory_order_relaxed); }
  // Milliseconds since 1970; 0 before the first.
  int64_t last_answer() const { return last_answer_.load(std::memory_order_relaxed); }

 private:
  static void AddTo(std::atomic<int64_t>& nanos, absl::Duration duration) {
    nanos.fetch_add(std::max<int64_t>(0, absl::ToInt64Nanoseconds(duration)), std::memory_order_relaxed);
  }
  static absl::Duration Load(const std::atomic<int64_t>& nanos) {
    return absl::Nanoseconds(nanos.load(std::memory_order_relaxed));
  }

  OutcomeCounters outcomes_;
  DurationCounter answered_;
  ServingHistogram queue_, preprocess_, model_, calibrate_, respond_, total_;
  std::atomic<int64_t> receive_nanos_{0}, preprocess_cost_nanos_{0}, model_cost_nanos_{0};
  std::array<DurationCounter, kStatusCodes> failed_;
  std::atomic<int64_t> rows_{0};
  std::atomic<int64_t> last_answer_{0};
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_TELEMETRY_REQUEST_COUNTERS_H_
