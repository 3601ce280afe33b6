#ifndef CALSERVE_TESTS_UNIT_CALIBRATION_METRICS_METRICS_TESTING_H_
#define CALSERVE_TESTS_UNIT_CALIBRATION_METRICS_METRICS_TESTING_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "calibration/metrics/confidence_groups.h"

namespace calserve {

// Confidences and whether the predictions were right.
struct TopLabelRows {
  std::vector<float> confidences;
  std::vector<uint8_t> correct;

  std::vector<ConfidenceGroup> Groups() const { return *GroupByConfidence(confidences, correct); }
};

// Confidences in (0.2, 1], mostly high; right with the probability `accuracy`(confidence).
inline TopLabelRows RandomTopLabel(int rows, const std::function<double(double)>& accuracy, int seed) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  TopLabelRows data;
  for (int i = 0; i < rows; ++i) {
    const double u = uniform(generator);
    data.confidences.push_back(static_cast<float>(1 - 0.8 * u * u));
    data.correct.push_back(uniform(generator) < accuracy(data.confidences.back()) ? 1 : 0);
  }
  return data;
}

inline double Calibrated(double confidence) { return confidence; }

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_CALIBRATION_METRICS_METRICS_TESTING_H_
