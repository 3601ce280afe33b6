#ifndef CALSERVE_TESTS_UNIT_CALIBRATION_WINDOW_TEST_UTIL_H_
#define CALSERVE_TESTS_UNIT_CALIBRATION_WINDOW_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "calibration/rolling_windows.h"
#include "tests/unit/calibration/same_metrics.h"

namespace calserve {

inline constexpr int64_t kSecond = 1'000'000;
inline constexpr int64_t kStart = 1'700'000'000 * kSecond;

inline std::vector<WindowSpec> Specs(const std::vector<std::string>& names) {
  std::vector<WindowSpec> specs;
  for (const std::string& name : names) specs.push_back(*WindowSpec::Parse(name));
  return specs;
}

inline std::unique_ptr<RollingWindows> Windows(const std::vector<std::string>& names, int bins = kDefaultBins,
                                               int64_t max_labels = 1'000'000) {
  absl::StatusOr<std::unique_ptr<RollingWindows>> windows =
      RollingWindows::Create(Specs(names), bins, max_labels);
  EXPECT_TRUE(windows.ok()) << windows.status();
  return *std::move(windows);
}

inline void Push(RollingWindows* windows, const WindowLabel& label) {
  const absl::Status status = windows->Push(label);
  EXPECT_TRUE(status.ok()) << status;
}

// A stream with bursts, pauses, equal times, confidences of 0 and 1, and predictions without logits.
class LabelStream {
 public:
  explicit LabelStream(int seed) : generator_(seed) {}

  WindowLabel Next() {
    const uint32_t dice = generator_() % 100;
    if (dice < 60) time_ += generator_() % (2 * kSecond);
    if (dice == 99) time_ += generator_() % (300 * kSecond);
    WindowLabel label;
    label.time_micros = time_;
    label.served = Score();
    label.uncalibrated = Score();
    label.uncalibrated.correct = label.served.correct;
    if (dice % 5 == 0) {
      label.served.nll = label.served.brier = WindowLabel::kNoLogits;
      label.uncalibrated.nll = label.uncalibrated.brier = WindowLabel::kNoLogits;
    }
    return label;
  }

 private:
  WindowLabel::Score Score() {
    std::uniform_real_distribution<float> uniform(0, 1);
    float confidence = uniform(generator_);
    if (generator_() % 20 == 0) confidence = 0;
    if (generator_() % 20 == 0) confidence = 1;
    return {confidence, uniform(generator_) < confidence, 100 * uniform(generator_), 2 * uniform(generator_)};
  }

  std::mt19937 generator_;
  int64_t time_ = kStart;
};

// To the bit.
inline void ExpectSameReports(RollingWindows* a, RollingWindows* b, int64_t now) {
  for (size_t i = 0; i < a->specs().size(); ++i) {
    SCOPED_TRACE(a->specs()[i].name);
    const WindowMetrics x = a->Report(static_cast<int>(i), now), y = b->Report(static_cast<int>(i), now);
    ExpectSameMetrics(x.served, y.served);
    ExpectSameMetrics(x.uncalibrated, y.uncalibrated);
    EXPECT_EQ(x.truncated, y.truncated);
  }
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_CALIBRATION_WINDOW_TEST_UTIL_H_
