#ifndef CALSERVE_TESTS_UNIT_CALIBRATION_SAME_METRICS_H_
#define CALSERVE_TESTS_UNIT_CALIBRATION_SAME_METRICS_H_

#include <cstddef>

#include "calibration/metrics.h"
#include "gtest/gtest.h"

namespace calserve {

// To the bit.
inline void ExpectSameMetrics(const CalibrationMetrics& a, const CalibrationMetrics& b) {
  EXPECT_EQ(a.n, b.n);
  EXPECT_EQ(a.n_effective, b.n_effective);
  EXPECT_EQ(a.accuracy, b.accuracy);
  EXPECT_EQ(a.mean_confidence, b.mean_confidence);
  EXPECT_EQ(a.ece, b.ece);
  EXPECT_EQ(a.ece_low, b.ece_low);
  EXPECT_EQ(a.ece_high, b.ece_high);
  EXPECT_EQ(a.noise_floor, b.noise_floor);
  EXPECT_EQ(a.mce, b.mce);
  EXPECT_EQ(a.n_with_logits, b.n_with_logits);
  EXPECT_EQ(a.nll, b.nll);
  EXPECT_EQ(a.brier, b.brier);
  ASSERT_EQ(a.bins.size(), b.bins.size());
  for (size_t i = 0; i < a.bins.size(); ++i) {
    EXPECT_EQ(a.bins[i].lower, b.bins[i].lower);
    EXPECT_EQ(a.bins[i].upper, b.bins[i].upper);
    EXPECT_EQ(a.bins[i].count, b.bins[i].count);
    EXPECT_EQ(a.bins[i].confidence, b.bins[i].confidence);
    EXPECT_EQ(a.bins[i].accuracy, b.bins[i].accuracy);
  }
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_CALIBRATION_SAME_METRICS_H_
