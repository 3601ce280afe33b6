#include "calibration/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "calibration/bin_edges.h"
#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

using ::testing::DoubleNear;
using ::testing::Optional;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(BinIndexTest, BinsAreClosedOnTheRightAndTheFirstHoldsZero) {
  EXPECT_EQ(BinIndex(0, 4), 0);
  EXPECT_EQ(BinIndex(0.25, 4), 0);
  EXPECT_EQ(BinIndex(std::nextafter(0.25, 1), 4), 1);
  EXPECT_EQ(BinIndex(0.5, 4), 1);
  EXPECT_EQ(BinIndex(1, 4), 3);
  EXPECT_EQ(BinIndex(0.7, 1), 0);
}

// int(0.29 * 100) is 28 and 0.07 * 100 is above 7: products do not find edges.
TEST(BinIndexTest, AnEdgeBelongsToTheBinBelowItForEveryNumberOfBins) {
  for (int bins = 1; bins <= 300; ++bins) {
    const BinEdges edges(bins);
    for (int j = 1; j < bins; ++j) {
      const double edge = static_cast<double>(j) / bins;
      EXPECT_EQ(BinIndex(edge, bins), j - 1) << edge << " of " << bins;
      EXPECT_EQ(BinIndex(std::nextafter(edge, 1), bins), j) << edge << " of " << bins;
      EXPECT_EQ(edges.IndexOf(edge), j - 1);
      EXPECT_EQ(edges.IndexOf(std::nextafter(edge, 1)), j);
    }
  }
}

TEST(MetricsTest, EceIsTheWeightedGapAndMceTheLargest) {
  // Bin (0.5, 0.75]: three rows, confidence 0.6, accuracy 1/3. Bin (0.75, 1]: one row, 0.9, right.
  const absl::StatusOr<CalibrationMetrics> m = EvaluateTopLabel({0.6f, 0.6f, 0.6f, 0.9f}, {1, 0, 0, 1}, 4);
  ASSERT_TRUE(m.ok());
  EXPECT_EQ(m->n, 4);
  EXPECT_EQ(m->n_effective, 4);
  EXPECT_NEAR(m->ece, 0.75 * (0.6 - 1.0 / 3) + 0.25 * 0.1, 1e-7);
  EXPECT_NEAR(m->mce, 0.6 - 1.0 / 3, 1e-7);
  EXPECT_NEAR(m->accuracy, 0.5, 1e-15);
  EXPECT_NEAR(m->mean_confidence, 0.675, 1e-7);
  ASSERT_EQ(m->bins.size(), 4u);
  EXPECT_EQ(m->bins[0].count, 0);
  EXPECT_EQ(m->bins[2].count, 3);
  EXPECT_NEAR(m->bins[2].accuracy, 1.0 / 3, 1e-15);
  EXPECT_EQ(m->bins[2].lower, 0.5);
  EXPECT_EQ(m->bins[2].upper, 0.75);
  EXPECT_FALSE(m->nll.has_value());
  EXPECT_FALSE(m->brier.has_value());
}

TEST(MetricsTest, ZeroAndOneAreOrdinaryConfidences) {
  const absl::StatusOr<CalibrationMetrics> m = EvaluateTopLabel({0, 1}, {1, 0}, 10);
  ASSERT_TRUE(m.ok());
  EXPECT_EQ(m->bins.front().count, 1);
  EXPECT_EQ(m->bins.back().count, 1);
  EXPECT_EQ(m->ece, 1);
  EXPECT_EQ(m->mce, 1);
  EXPECT_EQ(m->noise_floor, 0);
}

TEST(MetricsTest, NoRowsGiveZerosAndNoInterval) {
  const absl::StatusOr<CalibrationMetrics> m = EvaluateTopLabel({}, {}, 5);
  ASSERT_TRUE(m.ok());
  EXPECT_EQ(m->n, 0);
  EXPECT_EQ(m->n_effective, 0);
  EXPECT_EQ(m->ece, 0);
  EXPECT_EQ(m->mce, 0);
  EXPECT_EQ(m->accuracy, 0);
  EXPECT_EQ(m->noise_floor, 0);
  EXPECT_FALSE(m->ece_low.has_value());
  EXPECT_EQ(m->bins.size(), 5u);
}

TEST(MetricsTest, NoiseFloorIsTheMeanAbsoluteDeviationOfEachBin) {
  const absl::StatusOr<CalibrationMetrics> m =
      EvaluateTopLabel({0.75f, 0.75f, 0.75f, 0.25f}, {1, 1, 1, 0}, 2);
  ASSERT_TRUE(m.ok());
  const double bin_0 = 0.25 * std::sqrt(2 * 0.25 * 0.75 / std::numbers::pi);
  const double bin_1 = 0.75 * std::sqrt(2 * 0.25 * 0.75 / (3 * std::numbers::pi));
  EXPECT_NEAR(m->noise_floor, bin_0 + bin_1, 1e-15);
}

// Reference values of a simulation: 15 bins, calibrated, the notes on calibration, section 2.5.
TEST(MetricsTest, NoiseFloorIsNearTheMeanEceOfACalibratedModel) {
  std::mt19937 generator(4);
  std::uniform_real_distribution<float> uniform(0, 1);
  for (const int n : {500, 5000}) {
    double ece = 0, floor = 0;
    for (int run = 0; run < 100; ++run) {
      std::vector<float> confidence(n);
      std::vector<uint8_t> correct(n);
      for (int i = 0; i < n; ++i) {
        confidence[i] = 1 - 0.7f * std::pow(uniform(generator), 3.0f);
        correct[i] = uniform(generator) < confidence[i];
      }
      const absl::StatusOr<CalibrationMetrics> m = EvaluateTopLabel(confidence, correct);
      ASSERT_TRUE(m.ok());
      ece += m->ece / 100;
      floor += m->noise_floor / 100;
    }
    EXPECT_NEAR(floor / ece, 1, 0.06) << n;
  }
}

TEST(MetricsTest, RowNllIsCappedSoThatOneImpossibleLabelIsNotInfinite) {
  EXPECT_DOUBLE_EQ(RowNll({0.25f, 0.75f}, 0), std::log(4.0));
  EXPECT_EQ(RowNll({0, 1}, 0), kMaxNll);
  EXPECT_EQ(RowNll({0, 1}, 1), 0);
  EXPECT_FALSE(std::signbit(RowNll({0, 1}, 1)));
}

TEST(MetricsTest, RowBrierIsTheSquaredDistanceToTheLabel) {
  EXPECT_DOUBLE_EQ(RowBrier({0.25f, 0.75f}, 0), 2 * 0.75 * 0.75);
  EXPECT_EQ(RowBrier({0, 1, 0}, 1), 0);
  EXPECT_EQ(RowBrier({0, 1, 0}, 2), 2);
}

TEST(MetricsTest, EvaluateTopLabelNamesTheBadRow) {
  for (const float bad : {kNan, -0.1f, 1.1f, std::numeric_limits<float>::infinity()}) {
    ExpectError(EvaluateTopLabel({0.5f, bad}, {0, 1}), absl::StatusCode::kInvalidArgument,
                "confidence of row 1");
  }
  ExpectError(EvaluateTopLabel({0.5f}, {2}), absl::StatusCode::kInvalidArgument, "correct of row 0");
  ExpectError(EvaluateTopLabel({0.5f}, {0, 1}), absl::StatusCode::kInvalidArgument, "have 1 and 2");
  ExpectError(EvaluateTopLabel({0.5f}, {0}, 0), absl::StatusCode::kInvalidArgument, "bins");
  ExpectError(EvaluateTopLabel({0.5f}, {0}, kMaxBins + 1), absl::StatusCode::kInvalidArgument, "bins");
}

TEST(MetricsTest, EvaluateNamesRowColumnAndValue) {
  Labelled data{3, {0, 1, 2, 3, 4, kNan}, {0, 1}};
  const Calibrator calibrator = Calibrator::None(3);
  ExpectError(Evaluate(calibrator, data.view(), data.labels), absl::StatusCode::kInvalidArgument,
              "logits[1, 2] must be finite and within float32; was nan");
  data.logits[5] = -std::numeric_limits<float>::infinity();
  ExpectError(Evaluate(calibrator, data.view(), data.labels), absl::StatusCode::kInvalidArgument, "was -inf");
  data.logits[5] = 5;
  data.labels[1] = 3;
  ExpectError(Evaluate(calibrator, data.view(), data.labels), absl::StatusCode::kInvalidArgument,
              "labels[1] must be in [0, 3); was 3");
  data.labels[1] = -1;
  ExpectError(Evaluate(calibrator, data.view(), data.labels), absl::StatusCode::kInvalidArgument, "was -1");
  data.labels.pop_back();
  ExpectError(Evaluate(calibrator, data.view(), data.labels), absl::StatusCode::kInvalidArgument,
              "have 2 and 1");
  ExpectError(Evaluate(Calibrator::None(2), data.view(), data.labels), absl::StatusCode::kInvalidArgument,
              "2 classes as the calibrator does; have 3");
  const std::vector<double> single = {0.5, 1e300};
  ExpectError(Evaluate(Calibrator::None(2), LogitsView(absl::MakeConstSpan(single), 1), {0, 1}),
              absl::StatusCode::kInvalidArgument, "logits[1, 0]");
}

TEST(MetricsTest, EvaluateOfAllRightAndAllWrongIsFinite) {
  for (const int label : {0, 1}) {
    const Labelled data{2, std::vector<float>{1e4, -1e4, 1e4, -1e4}, {label, label}};
    const absl::StatusOr<CalibrationMetrics> m = Evaluate(Calibrator::None(2), data.view(), data.labels);
    ASSERT_TRUE(m.ok());
    EXPECT_EQ(m->accuracy, label == 0 ? 1 : 0);
    EXPECT_EQ(m->ece, label == 0 ? 0 : 1);
    EXPECT_THAT(m->nll, Optional(label == 0 ? 0 : kMaxNll));
    EXPECT_THAT(m->brier, Optional(label == 0 ? 0 : 2));
    EXPECT_EQ(m->n_with_logits, 2);
  }
}

TEST(MetricsTest, EvaluateDoesNotDependOnTheOrderOfRows) {
  const Labelled data = RandomLabelled(2000, 10, 1.5, 5);
  const Labelled shuffled = Shuffled(data, 6);
  const absl::StatusOr<CalibrationMetrics> a = Evaluate(Calibrator::None(10), data.view(), data.labels);
  const absl::StatusOr<CalibrationMetrics> b =
      Evaluate(Calibrator::None(10), shuffled.view(), shuffled.labels);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NEAR(a->ece, b->ece, 1e-12);
  EXPECT_NEAR(*a->nll, *b->nll, 1e-12);
  EXPECT_NEAR(*a->brier, *b->brier, 1e-12);
}

TEST(MetricsTest, ASingleColumnMeansTwoClasses) {
  const std::vector<float> single = {2, -1};
  const std::vector<float> pair = {0, 2, 0, -1};
  const absl::StatusOr<CalibrationMetrics> a =
      Evaluate(Calibrator::None(2), LogitsView(absl::MakeConstSpan(single), 1), {1, 1});
  const absl::StatusOr<CalibrationMetrics> b =
      Evaluate(Calibrator::None(2), LogitsView(absl::MakeConstSpan(pair), 2), {1, 1});
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->accuracy, 0.5);
  EXPECT_EQ(a->ece, b->ece);
  EXPECT_EQ(a->nll, b->nll);
}

}  // namespace
}  // namespace calserve
