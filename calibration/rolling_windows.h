#ifndef CALSERVE_CALIBRATION_ROLLING_WINDOWS_H_
#define CALSERVE_CALIBRATION_ROLLING_WINDOWS_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "calibration/metrics.h"

namespace calserve {

// One labelled prediction as a window counts it. Confidences are float32 exactly as served.
struct WindowLabel {
  // Marks a prediction without logits: no NLL, no Brier.
  static constexpr float kNoLogits = -1.0f;
  struct Score {
    float confidence = 0;     // [0, 1]
    bool correct = false;
    float nll = kNoLogits;    // nats, [0, 100]
    float brier = kNoLogits;  // [0, 2]
  };
  int64_t time_micros = 0;  // of the store, Unix microseconds; never decreasing from label to label
  Score served;
  Score uncalibrated;
};

// What a window spans. Names are unique: "last_1000", "last_1h", "decay_1h".
struct WindowSpec {
  enum class Kind { kLastCount, kLastDuration, kDecay };
  std::string name;
  Kind kind = Kind::kLastCount;
  int64_t count = 0;    // kLastCount: labels
  int64_t micros = 0;   // kLastDuration: length; kDecay: half-life
  // "last_1000", "last_90s", "last_15m", "last_1h", "last_7d", "decay_1h". INVALID_ARGUMENT otherwise.
  static absl::StatusOr<WindowSpec> Parse(absl::string_view name);
};

struct WindowMetrics {
  CalibrationMetrics served, uncalibrated;  // without intervals
  bool truncated = false;                   // evicted early, to stay within max_labels
};

// The windows over one stream of labels: last-N, last-T and exponential decay, sharing one ring of 32 bytes a
// label. Sums are integers (confidence in 2^-30, NLL and Brier in 2^-24), so that eviction is exact and the state
// after any sequence equals a fold from scratch to the bit. Push O(windows) amortised, report O(bins). Not
// thread-safe.
class RollingWindows final {
 public:
  // `max_labels` bounds the ring: a last-T window that would hold more evicts its oldest early and says so.
  static absl::StatusOr<std::unique_ptr<RollingWindows>> Create(std::vector<WindowSpec> specs, int bins = kDefaultBins,
                                                                int64_t max_labels = 1'000'000);

  // INVALID_ARGUMENT for a value out of range, or time that runs backwards; nothing is changed then.
  absl::Status Push(const WindowLabel& label);

  // Metrics of the window `index` as of `now_micros` (not before the last label's time). Evicts what is older
  // than last-T.
  WindowMetrics Report(int index, int64_t now_micros);

  const std::vector<WindowSpec>& specs() const { return specs_; }
  int64_t labels_held() const;
  int64_t bytes() const;

  // The whole state as bytes of a versioned little-endian format, and back. Deserialise refuses bytes of other
  // window specs, bins or version with FAILED_PRECONDITION, damaged ones with DATA_LOSS.
  std::string Serialize() const;
  static absl::StatusOr<std::unique_ptr<RollingWindows>> Deserialize(absl::string_view bytes,
                                                                     std::vector<WindowSpec> specs, int bins,
                                                                     int64_t max_labels);

 private:
  RollingWindows() = default;
  std::vector<WindowSpec> specs_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_ROLLING_WINDOWS_H_
