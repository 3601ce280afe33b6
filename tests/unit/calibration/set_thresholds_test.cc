// Thresholds of prediction sets that come with a fit.

#include <algorithm>
#include <cmath>

#include "calibration/conformal.h"
#include "calibration/fit.h"
#include "calibration/folds.h"
#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

FitOptions WithSets(std::vector<double> alphas) {
  FitOptions options;
  options.set_alphas = std::move(alphas);
  return options;
}

FitResult FitTemperature(const Labelled& data, const FitOptions& options) {
  absl::StatusOr<FitResult> fit =
      FitCalibrator(CalibrationMethod::kTemperature, data.view(), data.labels, options);
  EXPECT_TRUE(fit.ok()) << fit.status();
  return *std::move(fit);
}

// By hand: fit to the rest, score the rows held out by 1 - p, sort, take the ceil((n + 1)(1 - alpha))-th.
TEST(SetThresholdsTest, AreTheQuantilesOfRowsThatNoFitHasSeen) {
  const Labelled data = RandomLabelled(400, 5, 1.5, 21);
  FitOptions options = WithSets({0.1});
  options.holdout = 0.4;
  const FitResult fit = FitTemperature(data, options);

  const std::vector<FoldSplit> splits = SplitHoldout(InContentOrder(data.rows()), 0.4);
  ASSERT_EQ(splits.size(), 1u);
  Labelled rest{5, {}, {}};
  for (const int64_t row : splits[0].rest.rows) {
    for (int k = 0; k < 5; ++k) rest.logits.push_back(static_cast<float>(splits[0].rest.logits.At(row, k)));
    rest.labels.push_back(splits[0].rest.labels[row]);
  }
  const Calibrator of_rest = *Calibrator::Create(FitTemperature(rest, {.holdout = 0.3}).spec);
  std::vector<double> scores;
  for (const int64_t row : splits[0].held_out.rows) {
    std::vector<double> logits(5);
    splits[0].held_out.logits.Row(row, logits.data());
    std::vector<float> probabilities(5);
    ASSERT_TRUE(of_rest.ApplyFloat64(logits, absl::MakeSpan(probabilities)).ok());
    scores.push_back(1 - static_cast<double>(probabilities[splits[0].held_out.labels[row]]));
  }
  std::sort(scores.begin(), scores.end());
  const auto n = static_cast<int64_t>(scores.size());
  const auto rank = static_cast<size_t>(std::ceil(0.9 * static_cast<double>(n + 1) - 1e-9));

  ASSERT_EQ(fit.spec.set_thresholds.size(), 2u);
  const SetThreshold& thr = fit.spec.set_thresholds[0];
  EXPECT_EQ(thr.score, ConformalScore::kThr);
  EXPECT_EQ(thr.alpha, 0.1);
  EXPECT_EQ(thr.n, n);
  EXPECT_NEAR(thr.threshold, scores[rank - 1], 1e-9);
  EXPECT_EQ(fit.spec.set_thresholds[1].score, ConformalScore::kAps);
}

TEST(SetThresholdsTest, SetsHoldTheLabelsOfFreshRowsAsOftenAsTheyPromise) {
  for (const CalibrationMethod method :
       {CalibrationMethod::kTemperature, CalibrationMethod::kTopLabelIsotonic, CalibrationMethod::kAuto}) {
    const Labelled data = RandomLabelled(3000, 4, 2, 22), fresh = RandomLabelled(20'000, 4, 2, 23);
    const absl::StatusOr<FitResult> fit =
        FitCalibrator(method, data.view(), data.labels, WithSets({0.1, 0.02}));
    ASSERT_TRUE(fit.ok()) << fit.status();
    const Calibrator calibrator = *Calibrator::Create(fit->spec);
    ASSERT_EQ(fit->spec.set_thresholds.size(), 4u);
    for (const SetThreshold& threshold : fit->spec.set_thresholds) {
      EXPECT_EQ(threshold.n, 3000);
      double held = 0;
      for (int64_t i = 0; i < fresh.size(); ++i) {
        std::vector<double> logits(4);
        fresh.view().Row(i, logits.data());
        std::vector<float> p(4);
        ASSERT_TRUE(calibrator.ApplyFloat64(logits, absl::MakeSpan(p)).ok());
        const std::vector<int> set = PredictionSet(threshold.score, threshold.threshold, p, logits);
        held += std::find(set.begin(), set.end(), fresh.labels[i]) != set.end();
      }
      // The threshold of n rows leaves a coverage that varies by sqrt(a (1 - a) / n): three of that, and of
      // the fresh.
      const double a = threshold.alpha, deviation = std::sqrt(a * (1 - a) * (1 / 3000.0 + 1 / 20'000.0));
      const double coverage = held / static_cast<double>(fresh.size());
      EXPECT_GE(coverage, 1 - a - 3 * deviation)
          << MethodName(method) << " " << ScoreName(threshold.score) << " " << a;
      if (threshold.score == ConformalScore::kThr) {
        EXPECT_LE(coverage, 1 - a + 3 * deviation) << MethodName(method) << " " << a;
      }
    }
  }
}

TEST(SetThresholdsTest, AnAlphaThatTheRowsAreTooFewForGetsNone) {
  const Labelled data = RandomLabelled(60, 3, 1, 24);
  const FitResult fit = FitTemperature(data, WithSets({0.01, 0.1}));
  ASSERT_EQ(fit.spec.set_thresholds.size(), 2u) << "60 rows are fewer than 1 / 0.01 - 1";
  EXPECT_EQ(fit.spec.set_thresholds[0].alpha, 0.1);
}

TEST(SetThresholdsTest, AreTheSameForRowsInAnotherOrderAndShifted) {
  const Labelled data = RandomLabelled(300, 3, 1.5, 25);
  const FitResult fit = FitTemperature(data, WithSets({0.1, 0.05}));
  EXPECT_EQ(FitTemperature(Shuffled(data, 1), WithSets({0.1, 0.05})).spec, fit.spec);
  EXPECT_EQ(FitTemperature(Shifted(data), WithSets({0.1, 0.05})).spec, fit.spec);
}

TEST(SetThresholdsTest, AreNotThereUnlessAskedFor) {
  EXPECT_TRUE(FitTemperature(RandomLabelled(60, 3, 1, 26), {}).spec.set_thresholds.empty());
}

TEST(SetThresholdsTest, BadAlphasAreNamed) {
  const Labelled data = RandomLabelled(60, 3, 1, 27);
  const auto fit = [&](FitOptions options) {
    return FitCalibrator(CalibrationMethod::kTemperature, data.view(), data.labels, options);
  };
  ExpectError(fit(WithSets({0})), absl::StatusCode::kInvalidArgument, "set_alphas must be in (0, 1); was 0");
  ExpectError(fit(WithSets({0.1, 0.1234567, 0.1234567})), absl::StatusCode::kInvalidArgument,
              "set_alphas has 0.1234567 twice");
  ExpectError(fit(WithSets({0.1, 0.1})), absl::StatusCode::kInvalidArgument, "0.1 twice");
  ExpectError(fit(WithSets(std::vector<double>(9, 0.1))), absl::StatusCode::kInvalidArgument, "may have 8");
  FitOptions no_folds = WithSets({0.1});
  no_folds.folds = 0;
  ExpectError(fit(no_folds), absl::StatusCode::kInvalidArgument, "folds or holdout");
}

TEST(SetThresholdsTest, ACalibratorRefusesBadOnes) {
  const auto create = [](SetThreshold a, SetThreshold b) {
    return Calibrator::Create({CalibrationMethod::kTemperature, 3, {{"temperature", {1.0}}}, {a, b}});
  };
  const SetThreshold good{ConformalScore::kThr, 0.1, 0.5, 10}, other{ConformalScore::kAps, 0.1, 0.5, 10};
  EXPECT_TRUE(create(good, other).ok());
  ExpectError(create(good, good), absl::StatusCode::kInvalidArgument, "there twice");
  ExpectError(create(good, {ConformalScore::kAps, 1, 0.5, 10}), absl::StatusCode::kInvalidArgument, "alpha");
  ExpectError(create(good, {ConformalScore::kAps, 0.1, INFINITY, 10}), absl::StatusCode::kInvalidArgument,
              "finite");
  ExpectError(create(good, {ConformalScore::kAps, 0.1, 0.5, 0}), absl::StatusCode::kInvalidArgument,
              "n must be");
}

}  // namespace
}  // namespace calserve
