#ifndef CALSERVE_SERVER_TELEMETRY_ISSUED_CONFIDENCES_H_
#define CALSERVE_SERVER_TELEMETRY_ISSUED_CONFIDENCES_H_

#include <atomic>
#include <cmath>
#include <cstdint>

namespace calserve {

// Confidences of predictions, all together.
struct ConfidenceSums {
  int64_t n = 0;
  double sum = 0;
  double squares = 0;

  void Add(double confidence) {
    ++n;
    sum += confidence;
    squares += confidence * confidence;
  }
  double mean() const { return n > 0 ? sum / static_cast<double>(n) : 0; }
  friend bool operator==(const ConfidenceSums&, const ConfidenceSums&) = default;
};

// The confidences of all predictions that one calibrator version was served with, since the process counts. A
// request adds three numbers without a lock; a reader sees each of them as of some moment. Thread-safe.
class IssuedConfidences {
 public:
  void Add(const ConfidenceSums& request) {
    n_.fetch_add(request.n, std::memory_order_relaxed);
    sum_.fetch_add(std::llround(request.sum * kUnit), std::memory_order_relaxed);
    squares_.fetch_add(std::llround(request.squares * kUnit), std::memory_order_relaxed);
  }
  ConfidenceSums sums() const {
    return {n_.load(std::memory_order_relaxed),
            static_cast<double>(sum_.load(std::memory_order_relaxed)) / kUnit,
            static_cast<double>(squares_.load(std::memory_order_relaxed)) / kUnit};
  }

 private:
  static constexpr double kUnit = 0x1p24;  // room for 2^39 predictions

  std::atomic<int64_t> n_{0}, sum_{0}, squares_{0};
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_TELEMETRY_ISSUED_CONFIDENCES_H_
