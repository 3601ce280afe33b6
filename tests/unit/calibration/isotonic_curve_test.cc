#include "calibration/methods/isotonic_curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "calibration/methods/log_odds.h"
#include "calibration/methods/top_label.h"

namespace calserve {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

TEST(IsotonicCurveTest, PoolsNeighboursThatFall) {
  // Means 0, then (1 + 0 + 0) / 3, then 1.
  const IsotonicCurve curve = FitIsotonic({1, 2, 3, 4, 5}, {0, 1, 0, 0, 1});
  EXPECT_THAT(curve.thresholds, ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(curve.values, ElementsAre(1.0 / 7, 1.0 / 3, 1.0 / 3, 6.0 / 7));
}

TEST(IsotonicCurveTest, IsLinearBetweenKnotsAndConstantBeyond) {
  const IsotonicCurve curve{{0, 2}, {0.2, 0.6}};
  EXPECT_EQ(curve.At(-100), 0.2);
  EXPECT_EQ(curve.At(0), 0.2);
  EXPECT_DOUBLE_EQ(curve.At(0.5), 0.3);
  EXPECT_EQ(curve.At(2), 0.6);
  EXPECT_EQ(curve.At(1e300), 0.6);
}

TEST(IsotonicCurveTest, EqualScoresAreOnePointAtTheirMean) {
  const IsotonicCurve curve = FitIsotonic({1, 1, 1, 1, 2, 2}, {0, 1, 0, 0, 1, 0});
  EXPECT_THAT(curve.thresholds, ElementsAre(1, 2));
  EXPECT_THAT(curve.values, ElementsAre(0.25, 0.5));
}

TEST(IsotonicCurveTest, OneRowAndOneClassStayAwayFromZeroAndOne) {
  EXPECT_THAT(FitIsotonic({3}, {1}).values, ElementsAre(2.0 / 3));
  EXPECT_THAT(FitIsotonic({3, 4, 5}, {0, 0, 0}).values, ElementsAre(0.2, 0.2));
}

// Scores one ulp apart once gave infinite probabilities (scikit-learn issue 10903).
TEST(IsotonicCurveTest, ScoresAnUlpApartStayFinite) {
  const double low = 1e-300, high = std::nextafter(low, 1);
  const IsotonicCurve curve = FitIsotonic({low, high}, {0, 1});
  EXPECT_EQ(curve.At(low), 0.25);
  EXPECT_EQ(curve.At(high), 0.75);
}

// No rising step function with a step anywhere else has a smaller squared error (brute force on few points).
TEST(IsotonicCurveTest, IsTheLeastSquaresFit) {
  std::mt19937 generator(1);
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<double> scores(6);
    std::iota(scores.begin(), scores.end(), 0.0);
    std::vector<uint8_t> positive(6);
    for (uint8_t& label : positive) label = generator() % 2;
    const IsotonicCurve curve = FitIsotonic(scores, positive);
    double ours = 0;
    for (int i = 0; i < 6; ++i) ours += std::pow(curve.At(i) - positive[i], 2);
    double best = 1e9;  // over all cuts into runs, each at its mean where the means rise
    for (int cuts = 0; cuts < 32; ++cuts) {
      double error = 0, before = -1;
      bool rises = true;
      for (int from = 0, to; from < 6; from = to) {
        for (to = from + 1; to < 6 && (cuts >> (to - 1) & 1) == 0;) ++to;
        const double mean =
            std::accumulate(positive.begin() + from, positive.begin() + to, 0.0) / (to - from);
        const double clipped = std::clamp(mean, 1.0 / 8, 7.0 / 8);
        rises = rises && mean > before;
        before = mean;
        for (int i = from; i < to; ++i) error += std::pow(clipped - positive[i], 2);
      }
      if (rises) best = std::min(best, error);
    }
    EXPECT_NEAR(ours, best, 1e-12);
  }
}

TEST(IsotonicCurveTest, ReadsWhatItWritesAndRefusesWhatIsNoCurve) {
  CalibratorSpec spec{CalibrationMethod::kIsotonicOneVsRest, 2, {}};
  WriteIsotonic({{{0, 1}, {0.1, 0.9}}, {{5}, {0.5}}}, &spec.parameters);
  ParameterReader reader(spec);
  const std::vector<IsotonicCurve> curves = ReadIsotonic(2, &reader);
  ASSERT_TRUE(reader.Finish().ok()) << reader.Finish();
  EXPECT_THAT(curves[0].thresholds, ElementsAre(0, 1));
  EXPECT_THAT(curves[1].values, ElementsAre(0.5));

  const std::vector<std::vector<CalibratorSpec::Parameter>> bad = {
      {{"threshold", {1, 0}}, {"value", {0.1, 0.9}}},
      {{"threshold", {0, 1}}, {"value", {0.9, 0.1}}},
      {{"threshold", {0, 1}}, {"value", {0.1, 1.1}}},
      {{"threshold", {0, 1}}, {"value", {0.1}}},
      {{"threshold", {}}, {"value", {}}},
      {{"threshold", {0, 0}}, {"value", {0.1, 0.9}}},
      {{"threshold", {0, 1}}, {"value", {-0.1, 0.9}}},
  };
  for (const auto& parameters : bad) {
    EXPECT_FALSE(Calibrator::Create({CalibrationMethod::kIsotonic, 2, parameters}).ok());
  }
  for (const std::vector<double>& knots : std::vector<std::vector<double>>{
           {2, 2}, {1, 1}, {0, 3}, {1.5, 1.5}, {-1, 4}, {3}, {std::numeric_limits<double>::quiet_NaN(), 1}}) {
    EXPECT_FALSE(
        Calibrator::Create({CalibrationMethod::kIsotonicOneVsRest,
                            2,
                            {{"knots", knots}, {"threshold", {0, 1, 5}}, {"value", {0.1, 0.9, 0.5}}}})
            .ok());
  }
}

TEST(LogOddsTest, DoNotSaturateWhereProbabilitiesDo) {
  std::vector<double> row = {0, 1000, 0};
  EXPECT_DOUBLE_EQ(TopLogOdds(row), 1000 - std::log(2));
  LogOddsInPlace(absl::MakeSpan(row));
  EXPECT_THAT(row, ElementsAre(-1000, 1000 - std::log(2), -1000));
  std::vector<double> two = {3, 1};
  LogOddsInPlace(absl::MakeSpan(two));
  EXPECT_THAT(two, ElementsAre(DoubleNear(2, 1e-15), DoubleNear(-2, 1e-15)));
}

TEST(TopLabelTest, OthersShareTheRestInProportion) {
  std::vector<double> row = {std::log(0.3), std::log(0.6), std::log(0.1)};
  SpreadConfidence(0.8, absl::MakeSpan(row));
  EXPECT_THAT(row, ElementsAre(DoubleNear(0.15, 1e-15), DoubleNear(0.8, 1e-15), DoubleNear(0.05, 1e-15)));
}

TEST(TopLabelTest, ATopThatWouldFallBelowTheSecondTiesWithIt) {
  std::vector<double> row = {std::log(0.3), std::log(0.6), std::log(0.1)};
  SpreadConfidence(0.2, absl::MakeSpan(row));
  EXPECT_EQ(row[0], row[1]);
  EXPECT_NEAR(row[0], 3.0 / 7, 1e-15) << "0.75 of the rest each has";
  EXPECT_NEAR(row[2], 1.0 / 7, 1e-15);
}

}  // namespace
}  // namespace calserve
