#include "calibration/metrics/detailed_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/calibration/metrics/metrics_testing.h"
#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

void Append(const std::optional<double>& value, std::vector<double>* out) {
  out->push_back(value.value_or(-9));
}

void Append(const Estimate& estimate, std::vector<double>* out) {
  out->push_back(estimate.value);
  Append(estimate.low, out);
  Append(estimate.high, out);
}

void Append(const std::optional<CalibrationTestResult>& test, std::vector<double>* out) {
  if (!test.has_value()) return;
  Append(test->statistic, out);
  out->push_back(test->p_value);
}

// Every number, in a fixed order; -9 for what is unset.
std::vector<double> Numbers(const DetailedMetrics& m) {
  std::vector<double> out = {m.rms_calibration_error,
                             m.ece_sweep,
                             static_cast<double>(m.ece_sweep_bins),
                             m.smooth_ece,
                             static_cast<double>(m.n),
                             static_cast<double>(m.n_with_logits)};
  for (const Estimate& estimate : {m.accuracy, m.confidence_gap, m.adaptive_ece, m.debiased_l2}) {
    Append(estimate, &out);
  }
  for (const auto& estimate : {m.auroc, m.nll, m.brier}) {
    Append(estimate.value_or(Estimate{-9, {}, {}}), &out);
  }
  for (const auto& test : {m.kolmogorov_smirnov, m.kuiper, m.spiegelhalter, m.debiased_test})
    Append(test, &out);
  for (const auto& value : {m.mce, m.classwise_ece, m.classwise_ece_thresholded}) Append(value, &out);
  const auto parts = m.brier_parts.value_or(ClasswiseSums::BrierParts());
  out.insert(out.end(), {parts.calibration, parts.refinement, parts.uncertainty, parts.within_bins});
  return out;
}

void ExpectSound(const DetailedMetrics& m) {
  for (const double number : Numbers(m)) EXPECT_TRUE(std::isfinite(number));
  for (const auto& test : {m.kolmogorov_smirnov, m.kuiper, m.spiegelhalter, m.debiased_test}) {
    EXPECT_EQ(test.has_value(), m.n > 0);
    if (test.has_value()) {
      EXPECT_TRUE(test->p_value >= 0 && test->p_value <= 1) << test->p_value;
    }
  }
  for (const Estimate& e : {m.accuracy, m.confidence_gap, m.adaptive_ece, m.debiased_l2}) {
    EXPECT_LE(e.low.value_or(e.value), e.value);
    EXPECT_GE(e.high.value_or(e.value), e.value);
  }
  for (const double error :
       {m.rms_calibration_error, m.ece_sweep, m.smooth_ece, m.adaptive_ece.value, m.debiased_l2.value}) {
    EXPECT_TRUE(error >= 0 && error <= 1) << error;
  }
}

DetailedMetrics Of(const std::vector<float>& confidences, const std::vector<uint8_t>& correct) {
  DetailedAccumulator accumulator;
  for (size_t i = 0; i < confidences.size(); ++i) accumulator.Add(confidences[i], correct[i] == 1);
  return *accumulator.Metrics();
}

DetailedMetrics Details(const Labelled& data) {
  return *EvaluateDetailed(Calibrator::None(data.view().classes()), data.view(), data.labels);
}

TEST(DetailedMetricsTest, EdgesAreFiniteAndWithinTheirRanges) {
  for (const float confidence : {0.0f, 0.3f, 0.5f, 1.0f}) {
    for (const uint8_t correct : {0, 1}) {
      for (const int rows : {1, 2, 40}) {
        ExpectSound(Of(std::vector<float>(rows, confidence), std::vector<uint8_t>(rows, correct)));
      }
    }
  }
  ExpectSound(Of({0.0f, 1.0f}, {1, 0}));
  ExpectSound(Of({0.0f, 1.0f}, {0, 1}));
  const DetailedMetrics empty = Of({}, {});
  ExpectSound(empty);
  EXPECT_EQ(empty.n, 0);
  EXPECT_FALSE(empty.nll.has_value());
}

TEST(DetailedMetricsTest, OneSampleSaysWhatItCan) {
  const DetailedMetrics m = Of({0.75f}, {1});
  EXPECT_EQ(m.accuracy.value, 1);
  EXPECT_EQ(m.confidence_gap.value, -0.25);
  EXPECT_FALSE(m.confidence_gap.low.has_value());
  EXPECT_EQ(m.adaptive_ece.value, 0.25);
  EXPECT_EQ(m.rms_calibration_error, 0.25);
  EXPECT_EQ(m.debiased_l2.value, 0);
  EXPECT_NEAR(m.smooth_ece, 0.25, 1e-12);
  EXPECT_FALSE(m.mce.has_value());
  EXPECT_FALSE(m.auroc.has_value());
}

TEST(DetailedMetricsTest, NumbersOfClassesFromOneLogitToTenThousand) {
  for (const int columns : {1, 2, 3, 10'000}) {
    Labelled data = RandomLabelled(columns == 10'000 ? 20 : 200, std::max(columns, 2), 1.5, 3);
    if (columns == 1) {  // keep the second logit, which means (0, z)
      std::vector<float> single;
      for (size_t i = 1; i < data.logits.size(); i += 2) single.push_back(data.logits[i]);
      data.logits = single;
      data.columns = 1;
    }
    const DetailedMetrics m = Details(data);
    ExpectSound(m);
    EXPECT_EQ(m.n_with_logits, data.size()) << columns;
    EXPECT_TRUE(*m.classwise_ece >= 0 && *m.classwise_ece <= 1);
    EXPECT_TRUE(*m.classwise_ece_thresholded >= *m.classwise_ece)
        << "averages over fewer, larger probabilities";
    EXPECT_NEAR(m.brier_parts->calibration + m.brier_parts->refinement + m.brier_parts->within_bins,
                m.brier->value, 1e-12);
  }
}

TEST(DetailedMetricsTest, ExtremeLogitsAndOneClassAreFinite) {
  Labelled data = RandomLabelled(100, 4, 1, 5);
  for (size_t i = 0; i < data.logits.size(); ++i) data.logits[i] = i % 3 == 0 ? 1e4f : -1e4f;
  ExpectSound(Details(data));
  data.labels.assign(data.labels.size(), 2);
  ExpectSound(Details(data));
  data.logits.assign(data.logits.size(), 0.5f);
  ExpectSound(Details(data));
}

TEST(DetailedMetricsTest, TheOrderOfTheRowsDoesNotCount) {
  const Labelled data = RandomLabelled(600, 5, 1.4, 7);
  const std::vector<double> one = Numbers(Details(data)), other = Numbers(Details(Shuffled(data, 8)));
  ASSERT_EQ(one.size(), other.size());
  for (size_t i = 0; i < one.size(); ++i)
    EXPECT_NEAR(one[i], other[i], 1e-9 * std::max(1.0, std::abs(one[i]))) << i;
}

TEST(DetailedMetricsTest, AConstantAddedToARowChangesNothing) {
  const Labelled data = RandomLabelled(300, 5, 1.4, 9);
  EXPECT_EQ(Numbers(Details(data)), Numbers(Details(Shifted(data))));
}

TEST(DetailedMetricsTest, AreBesideTheMetricsOfTheSameRows) {
  const Labelled data = RandomLabelled(500, 6, 2, 11);
  const Calibrator softmax = Calibrator::None(6);
  const CalibrationMetrics metrics = *Evaluate(softmax, data.view(), data.labels);
  const DetailedMetrics details = Details(data);
  EXPECT_EQ(details.n, metrics.n);
  EXPECT_NEAR(details.accuracy.value, metrics.accuracy, 1e-12);
  EXPECT_NEAR(details.confidence_gap.value, metrics.mean_confidence - metrics.accuracy, 1e-12);
  EXPECT_NEAR(details.nll->value, *metrics.nll, 1e-12);
  EXPECT_NEAR(details.brier->value, *metrics.brier, 1e-12);
  EXPECT_LE(std::abs(details.confidence_gap.value), details.adaptive_ece.value + 1e-12);
  EXPECT_LE(metrics.ece, details.rms_calibration_error + 1e-12) << "a mean is at most its root mean square";
}

TEST(DetailedMetricsTest, CalibratedModelsPassAndOverconfidentOnesFail) {
  const Labelled data = RandomLabelled(2000, 5, 2, 13);
  const DetailedMetrics too_sure = Details(data);
  const DetailedMetrics mended = *EvaluateDetailed(TemperatureCalibrator(5, 2), data.view(), data.labels);
  EXPECT_LT(too_sure.debiased_test->p_value, 0.01);
  EXPECT_GT(mended.debiased_test->p_value, 0.05);
  EXPECT_GT(*too_sure.confidence_gap.low, 0);
  EXPECT_EQ(*mended.adaptive_ece.low, 0);
  EXPECT_LT(mended.smooth_ece, too_sure.smooth_ece / 3);
}

TEST(DetailedMetricsTest, RowsWithoutLogitsCountInTheTopLabelMetricsAlone) {
  DetailedAccumulator accumulator;
  accumulator.Add(0.5f, true);
  accumulator.Add(0.75f, false);
  accumulator.AddProbabilities({0.75f, 0.25f}, 1);
  accumulator.AddProbabilities({0.5f, 0.25f, 0.25f}, 1);  // of another model
  const DetailedMetrics m = *accumulator.Metrics();
  EXPECT_EQ(m.n, 2);
  EXPECT_EQ(m.n_with_logits, 1);
  EXPECT_NEAR(m.nll->value, std::log(4), 1e-12);
}

TEST(DetailedMetricsTest, BadValuesAreNamed) {
  DetailedAccumulator accumulator;
  accumulator.Add(std::numeric_limits<float>::quiet_NaN(), true);
  ExpectError(accumulator.Metrics(), absl::StatusCode::kInvalidArgument, "confidence of row 0");
  Labelled data = RandomLabelled(5, 2, 1, 1);
  const Calibrator softmax = Calibrator::None(2);
  ExpectError(EvaluateDetailed(softmax, data.view(), data.labels, {.bins = 0}),
              absl::StatusCode::kInvalidArgument, "bins must be in [1, 1000]");
  ExpectError(EvaluateDetailed(Calibrator::None(3), data.view(), data.labels),
              absl::StatusCode::kInvalidArgument, "must have 3 classes");
  data.logits[3] = std::numeric_limits<float>::infinity();
  ExpectError(EvaluateDetailed(softmax, data.view(), data.labels), absl::StatusCode::kInvalidArgument,
              "logits[1, 1]");
}

}  // namespace
}  // namespace calserve
