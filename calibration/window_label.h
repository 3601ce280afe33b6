#ifndef CALSERVE_CALIBRATION_WINDOW_LABEL_H_
#define CALSERVE_CALIBRATION_WINDOW_LABEL_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "calibration/label_extras.h"
#include "calibration/metrics.h"

namespace calserve {

// One labelled prediction as a window counts it. Confidences are float32 exactly as served.
struct WindowLabel {
  // Marks a prediction without logits: no NLL, no Brier.
  static constexpr float kNoLogits = -1.0f;
  struct Score {
    float confidence = 0;  // [0, 1]
    bool correct = false;
    float nll = kNoLogits;    // nats, [0, 100]
    float brier = kNoLogits;  // [0, 2]
  };
  int64_t time_micros = 0;  // of the store, Unix microseconds; never decreasing from label to label
  Score served;
  Score uncalibrated;
  LabelExtras extras;
};

// What a window spans. Names are unique: "last_1000", "last_1h", "decay_1h".
struct WindowSpec {
  enum class Kind { kLastCount, kLastDuration, kDecay };
  std::string name;
  Kind kind = Kind::kLastCount;
  int64_t count = 0;   // kLastCount: labels
  int64_t micros = 0;  // kLastDuration: length; kDecay: half-life
  // "last_1000", "last_90s", "last_15m", "last_1h", "last_7d", "decay_1h". INVALID_ARGUMENT otherwise.
  static absl::StatusOr<WindowSpec> Parse(absl::string_view name);
  friend bool operator==(const WindowSpec&, const WindowSpec&) = default;
};

// A larger max_labels could overflow a window's integer sums.
inline constexpr int64_t kMaxWindowLabels = int64_t{1} << 30;

struct WindowMetrics {
  CalibrationMetrics served, uncalibrated;  // without intervals
  bool truncated = false;                   // evicted early, to stay within max_labels
  // Of the labels' extras; none in a decaying window.
  std::array<SetCounts, LabelExtras::kSets> sets = {};
  std::optional<WeightedEstimates> weighted;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_WINDOW_LABEL_H_
