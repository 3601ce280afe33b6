#include "client/cli/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibration/calibrator.h"

namespace calserve::cli {
namespace {

TEST(EvaluationTest, AgreesWithTheLibraryOnTheSameRows) {
  const std::vector<float> logits = {3, 1, 0, 0, 2, 1, -1, 0, 4, 1, 1, 0};
  const std::vector<int32_t> labels = {0, 2, 2, 1};
  const Calibrator served =
      *Calibrator::Create({CalibrationMethod::kTemperature, 3, {{"temperature", {2.0}}}});
  Evaluation evaluation;
  for (int i = 0; i < 4; ++i) {
    client::Prediction prediction;
    prediction.logits.assign(logits.begin() + 3 * i, logits.begin() + 3 * i + 3);
    prediction.probabilities.resize(3);
    ASSERT_TRUE(served.Apply(prediction.logits, absl::MakeSpan(prediction.probabilities)).ok());
    ASSERT_TRUE(evaluation.Add(prediction, labels[i]).ok());
  }
  const LogitsView view(absl::MakeConstSpan(logits), 3);
  const auto expect_same = [](const CalibrationMetrics& a, const CalibrationMetrics& b) {
    EXPECT_EQ(a.n, b.n);
    EXPECT_NEAR(a.ece, b.ece, 1e-12);
    EXPECT_NEAR(a.mce, b.mce, 1e-12);
    EXPECT_NEAR(a.accuracy, b.accuracy, 1e-12);
    EXPECT_NEAR(*a.nll, *b.nll, 1e-6);
    EXPECT_NEAR(*a.brier, *b.brier, 1e-6);
    EXPECT_TRUE(a.ece_low.has_value());
  };
  expect_same(*evaluation.Served(), *Evaluate(served, view, labels));
  expect_same(*evaluation.Uncalibrated(), *Evaluate(Calibrator::None(3), view, labels));
}

TEST(EvaluationTest, RefusesWhatItCannotScore) {
  Evaluation evaluation;
  client::Prediction prediction;
  EXPECT_FALSE(evaluation.Add(prediction, 0).ok());
  prediction.probabilities = prediction.logits = {0.5f, 0.5f};
  EXPECT_FALSE(evaluation.Add(prediction, 2).ok());
  EXPECT_EQ(evaluation.n(), 0);
}

}  // namespace
}  // namespace calserve::cli
