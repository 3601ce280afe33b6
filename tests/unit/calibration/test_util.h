#ifndef CALSERVE_TESTS_UNIT_CALIBRATION_TEST_UTIL_H_
#define CALSERVE_TESTS_UNIT_CALIBRATION_TEST_UTIL_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "calibration/calibrator.h"
#include "calibration/labelled_rows.h"
#include "calibration/logits.h"

namespace calserve {

// The code and a part of the message.
template <typename T>
void ExpectError(const T& result, absl::StatusCode code, const std::string& part) {
  absl::Status status;
  if constexpr (std::is_same_v<T, absl::Status>) {
    status = result;
  } else {
    status = result.status();
  }
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(part));
}

// Float32 logits and the labels that come with them.
struct Labelled {
  int columns = 2;
  std::vector<float> logits;
  std::vector<int32_t> labels;

  LogitsView view() const { return LogitsView(absl::MakeConstSpan(logits), columns); }
  LabelledRows rows() const { return AllRows(view(), labels); }
  int64_t size() const { return static_cast<int64_t>(labels.size()); }
};

// Logits whose best temperature is near `temperature`: labels are drawn from softmax(z / temperature). All
// logits are multiples of 1/256, so that adding a whole number to them is exact.
inline Labelled RandomLabelled(int rows, int classes, double temperature, int seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0, 3);
  Labelled data;
  data.columns = classes;
  for (int i = 0; i < rows; ++i) {
    std::vector<double> weights;
    for (int k = 0; k < classes; ++k) {
      const double z = std::round(normal(generator) * 256) / 256;
      data.logits.push_back(static_cast<float>(z));
      weights.push_back(std::exp(z / temperature));
    }
    data.labels.push_back(std::discrete_distribution<int>(weights.begin(), weights.end())(generator));
  }
  return data;
}

// The same rows in another order.
inline Labelled Shuffled(const Labelled& data, int seed) {
  std::vector<int> order(data.labels.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::shuffle(order.begin(), order.end(), std::mt19937(seed));
  Labelled result{data.columns, {}, {}};
  for (const int i : order) {
    const auto row = data.logits.begin() + static_cast<int64_t>(i) * data.columns;
    result.logits.insert(result.logits.end(), row, row + data.columns);
    result.labels.push_back(data.labels[i]);
  }
  return result;
}

// Each row plus a whole number of its own.
inline Labelled Shifted(const Labelled& data) {
  Labelled result = data;
  for (size_t i = 0; i < result.logits.size(); ++i) {
    result.logits[i] += static_cast<float>(static_cast<int>(i / data.columns) % 7 - 3);
  }
  return result;
}

inline Calibrator TemperatureCalibrator(int classes, double temperature) {
  return *Calibrator::Create({CalibrationMethod::kTemperature, classes, {{"temperature", {temperature}}}});
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_CALIBRATION_TEST_UTIL_H_
