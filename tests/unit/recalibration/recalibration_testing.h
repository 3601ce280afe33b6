#ifndef CALSERVE_TESTS_UNIT_RECALIBRATION_RECALIBRATION_TESTING_H_
#define CALSERVE_TESTS_UNIT_RECALIBRATION_RECALIBRATION_TESTING_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "calibration/calibrator.h"
#include "server/feedback/half_float.h"
#include "server/recalibration/labelled_logits.h"
#include "tests/unit/feedback/feedback_testing.h"

namespace calserve {

inline const CalibrationTarget kTarget{"fashion", 3, 4};  // 4 classes

// Labelled logits of a model that is overconfident: labels are drawn from softmax(z / temperature).
inline LabelledLogits OverconfidentLogits(int rows, double temperature, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 4);
  const Calibrator truth = *Calibrator::Create(
      {CalibrationMethod::kTemperature, kTarget.classes, {{"temperature", {temperature}}}});
  LabelledLogits data;
  data.columns = kTarget.classes;
  std::vector<float> logits(kTarget.classes), probabilities(kTarget.classes);
  for (int i = 0; i < rows; ++i) {
    for (float& z : logits) z = normal(random);
    EXPECT_TRUE(truth.Apply(logits, absl::MakeSpan(probabilities)).ok());
    data.labels.push_back(
        std::discrete_distribution<int>(probabilities.begin(), probabilities.end())(random));
    data.logits.insert(data.logits.end(), logits.begin(), logits.end());
  }
  return data;
}

// The rows as they come back with feedback, served by `calibrator` of the given version.
inline std::vector<ScoredLabel> ScoredLabels(const LabelledLogits& data, const Calibrator& calibrator,
                                             int64_t calibrator_version, uint64_t first_number) {
  std::vector<ScoredLabel> labels;
  std::vector<float> probabilities(data.columns);
  for (size_t i = 0; i < data.labels.size(); ++i) {
    const absl::Span<const float> logits(data.logits.data() + i * data.columns, data.columns);
    ScoredLabel label = MakeLabel(first_number + i, data.labels[i], data.columns);
    TicketContent& p = label.prediction;
    p.calibrator_version = calibrator_version;
    SetLogits(logits, p);
    EXPECT_TRUE(Calibrator::None(data.columns).Apply(logits, absl::MakeSpan(probabilities)).ok());
    p.uncalibrated_class = Calibrator::PredictedClass(probabilities, logits);
    p.uncalibrated_confidence = probabilities[p.uncalibrated_class];
    EXPECT_TRUE(calibrator.Apply(logits, absl::MakeSpan(probabilities)).ok());
    p.predicted_class = Calibrator::PredictedClass(probabilities, logits);
    p.confidence = probabilities[p.predicted_class];
    labels.push_back(std::move(label));
  }
  return labels;
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_RECALIBRATION_RECALIBRATION_TESTING_H_
