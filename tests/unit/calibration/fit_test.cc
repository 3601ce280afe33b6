#include "calibration/fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using enum CalibrationMethod;

absl::StatusOr<FitResult> Fit(CalibrationMethod method, const Labelled& data,
                              const FitOptions& options = {}) {
  return FitCalibrator(method, data.view(), data.labels, options);
}

std::vector<double> Parameter(const CalibratorSpec& spec, const std::string& name) {
  for (const CalibratorSpec::Parameter& parameter : spec.parameters) {
    if (parameter.name == name) return parameter.values;
  }
  return {};
}

std::vector<double> AllParameters(const CalibratorSpec& spec) {
  std::vector<double> all;
  for (const CalibratorSpec::Parameter& parameter : spec.parameters) {
    all.insert(all.end(), parameter.values.begin(), parameter.values.end());
  }
  return all;
}

// What any report must hold.
void ExpectSane(const FitResult& result, int64_t n) {
  EXPECT_TRUE(Calibrator::Create(result.spec).ok());
  EXPECT_EQ(result.report.n, n);
  for (const CalibrationMetrics* m : {&result.report.before, &result.report.after}) {
    EXPECT_EQ(m->n, n);
    EXPECT_TRUE(m->ece >= 0 && m->ece <= 1) << m->ece;
    EXPECT_TRUE(*m->nll >= 0 && *m->nll <= kMaxNll) << *m->nll;
    EXPECT_TRUE(*m->brier >= 0 && *m->brier <= 2) << *m->brier;
    EXPECT_TRUE(*m->ece_low <= m->ece && m->ece <= *m->ece_high);
  }
}

TEST(FitTest, TemperatureImprovesAnOverconfidentModelInAndOutOfFold) {
  const absl::StatusOr<FitResult> result = Fit(kTemperature, RandomLabelled(3000, 10, 2.5, 1));
  ASSERT_TRUE(result.ok()) << result.status();
  ExpectSane(*result, 3000);
  const FitReport& report = result->report;
  EXPECT_TRUE(report.converged);
  EXPECT_FALSE(report.at_bound);
  EXPECT_EQ(report.folds, 5);
  EXPECT_EQ(report.changed_predictions, 0);
  EXPECT_EQ(report.after.accuracy, report.before.accuracy);
  EXPECT_LT(*report.after.nll, *report.before.nll);
  EXPECT_LT(report.after.ece, *report.before.ece_low);
  ASSERT_TRUE(report.cross_validated.has_value());
  EXPECT_EQ(report.cross_validated->n, 3000);
  EXPECT_NEAR(*report.cross_validated->nll, *report.after.nll, 0.002);
  EXPECT_GT(*report.cross_validated->nll, *report.after.nll) << "rows left out cannot fit as well on average";
}

// Lower likelihood than the true parameters' would be a bug of the solver.
TEST(FitTest, OneVsRestBeatsTemperatureWhereClassesNeedTheirOwn) {
  Labelled data = RandomLabelled(4000, 4, 1, 2);
  for (size_t i = 0; i < data.logits.size(); i += 4) data.logits[i] += 2;  // class 0 is overstated
  const absl::StatusOr<FitResult> temperature = Fit(kTemperature, data);
  const absl::StatusOr<FitResult> platt = Fit(kPlatt, data);
  ASSERT_TRUE(temperature.ok() && platt.ok());
  EXPECT_EQ(platt->spec.method, kPlattOneVsRest);
  EXPECT_LT(*platt->report.cross_validated->nll, *temperature->report.cross_validated->nll - 0.05);
  EXPECT_GT(platt->report.changed_predictions, 0.05);
  ExpectSane(*platt, 4000);
}

TEST(FitTest, PlattOnTwoClassesIsBinary) {
  const absl::StatusOr<FitResult> result = Fit(kPlatt, RandomLabelled(500, 2, 2, 3));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->spec.method, kPlatt);
  EXPECT_LT(Parameter(result->spec, "slope")[0], 0) << "p falls with A f, so a useful model has A < 0";
  ExpectSane(*result, 500);
}

TEST(FitTest, ASingleLogitColumnFitsAsTheTwoClassZeroAndIt) {
  Labelled pair = RandomLabelled(300, 2, 2, 4), single{1, {}, pair.labels};
  for (int i = 0; i < 300; ++i) {
    pair.logits[2 * i + 1] -= pair.logits[2 * i];
    pair.logits[2 * i] = 0;
    single.logits.push_back(pair.logits[2 * i + 1]);
  }
  for (const CalibrationMethod method : {kTemperature, kPlatt, kPlattOneVsRest}) {
    const absl::StatusOr<FitResult> a = Fit(method, pair), b = Fit(method, single);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(a->spec, b->spec);
    EXPECT_EQ(a->report.cross_validated->nll, b->report.cross_validated->nll);
  }
}

TEST(FitTest, Float64LogitsFitAsFloat32Ones) {
  const Labelled data = RandomLabelled(300, 3, 2, 5);
  const std::vector<double> wide(data.logits.begin(), data.logits.end());
  const absl::StatusOr<FitResult> a = Fit(kTemperature, data);
  const absl::StatusOr<FitResult> b =
      FitCalibrator(kTemperature, LogitsView(absl::MakeConstSpan(wide), 3), data.labels);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->spec, b->spec);
}

TEST(FitTest, NoneReportsSoftmaxUnchanged) {
  const absl::StatusOr<FitResult> result = Fit(kNone, RandomLabelled(100, 3, 2, 6));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->spec.method, kNone);
  EXPECT_EQ(*result->report.before.nll, *result->report.after.nll);
  EXPECT_NEAR(*result->report.cross_validated->nll, *result->report.after.nll, 1e-12);
}

TEST(FitTest, EqualUnderPermutationAndConstantShifts) {
  const Labelled data = RandomLabelled(800, 5, 2, 7);
  for (const CalibrationMethod method : {kTemperature, kPlattOneVsRest}) {
    const absl::StatusOr<FitResult> expected = Fit(method, data);
    for (const Labelled& same : {Shuffled(data, 8), Shifted(data), Shifted(Shuffled(data, 9))}) {
      const absl::StatusOr<FitResult> result = Fit(method, same);
      ASSERT_TRUE(expected.ok() && result.ok());
      const std::vector<double> a = AllParameters(expected->spec), b = AllParameters(result->spec);
      ASSERT_EQ(a.size(), b.size());
      for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(b[i] / a[i], 1, 1e-9);
      EXPECT_NEAR(*result->report.cross_validated->nll / *expected->report.cross_validated->nll, 1, 1e-9);
      EXPECT_NEAR(result->report.cross_validated->ece, expected->report.cross_validated->ece, 1e-9);
    }
  }
}

// --- Data that cannot support a fit, or hardly ---

TEST(FitTest, TooFewRowsSayHowManyAreNeeded) {
  ExpectError(Fit(kTemperature, RandomLabelled(29, 3, 1, 1)), absl::StatusCode::kFailedPrecondition,
              "at least 30 labelled rows; has 29");
  ExpectError(Fit(kTemperature, Labelled{3, {}, {}}), absl::StatusCode::kFailedPrecondition, "has 0");
  EXPECT_TRUE(Fit(kTemperature, RandomLabelled(30, 3, 1, 1)).ok());
}

TEST(FitTest, OneClassOnlySaysWhich) {
  Labelled data = RandomLabelled(100, 3, 1, 2);
  std::fill(data.labels.begin(), data.labels.end(), 2);
  for (const CalibrationMethod method : {kTemperature, kPlatt}) {
    ExpectError(Fit(method, data), absl::StatusCode::kFailedPrecondition, "all 100 rows are of class 2");
  }
}

TEST(FitTest, OneRowIsRefusedWhateverMinRowsSays) {
  FitOptions options;
  options.min_rows = 0;
  ExpectError(Fit(kTemperature, Labelled{2, {0, 1}, {1}}, options), absl::StatusCode::kFailedPrecondition,
              "at least 2 classes");
}

TEST(FitTest, AllCorrectIsAFiniteFitThatSaysAtBound) {
  Labelled data = RandomLabelled(200, 4, 1, 3);
  for (int i = 0; i < 200; ++i) {
    const auto row = data.logits.begin() + 4 * i;
    data.labels[i] = static_cast<int32_t>(std::max_element(row, row + 4) - row);
  }
  const absl::StatusOr<FitResult> result = Fit(kTemperature, data);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->report.at_bound);
  EXPECT_THAT(Parameter(result->spec, "temperature"), ElementsAre(0.01));
  EXPECT_THAT(Parameter(result->spec, "epsilon"), ElementsAre(1.0 / 201));
  ExpectSane(*result, 200);

  const absl::StatusOr<FitResult> platt = Fit(kPlatt, data);
  ASSERT_TRUE(platt.ok()) << platt.status();
  EXPECT_TRUE(platt->report.at_bound);
  ExpectSane(*platt, 200);
}

TEST(FitTest, AllWrongIsAFiniteFitThatSaysAtBound) {
  Labelled data = RandomLabelled(200, 3, 1, 4);
  for (int i = 0; i < 200; ++i) {
    const auto row = data.logits.begin() + 3 * i;
    data.labels[i] = static_cast<int32_t>(std::min_element(row, row + 3) - row);
  }
  const absl::StatusOr<FitResult> result = Fit(kTemperature, data);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->report.at_bound);
  EXPECT_THAT(Parameter(result->spec, "temperature"), ElementsAre(100));
  EXPECT_TRUE(Parameter(result->spec, "epsilon").empty());
  EXPECT_EQ(result->report.after.accuracy, 0);
  ExpectSane(*result, 200);
}

TEST(FitTest, OrdinaryFitsHaveNoEpsilon) {
  const absl::StatusOr<FitResult> result = Fit(kTemperature, RandomLabelled(200, 3, 2, 5));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->spec.parameters.size(), 1u);
}

TEST(FitTest, IdenticalLogitsFitWithoutCrossValidationWhereOneFoldHoldsAll) {
  Labelled data{3, std::vector<float>(300, 1.5f), {}};
  for (int i = 0; i < 100; ++i) data.labels.push_back(i % 2);
  for (const CalibrationMethod method : {kTemperature, kPlatt}) {
    const absl::StatusOr<FitResult> result = Fit(method, data);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(result->report.at_bound) << "no logit tells the classes apart, and class 2 has no row";
    ExpectSane(*result, 100);
  }
}

TEST(FitTest, AClassWithoutRowsGetsAFiniteCurve) {
  Labelled data = RandomLabelled(300, 4, 1, 6);
  for (int32_t& label : data.labels) label %= 3;
  const absl::StatusOr<FitResult> result = Fit(kPlattOneVsRest, data);
  ASSERT_TRUE(result.ok());
  ExpectSane(*result, 300);
  for (const double value : AllParameters(result->spec)) EXPECT_TRUE(std::isfinite(value));
}

TEST(FitTest, HugeLogitsGiveNoNan) {
  Labelled data = RandomLabelled(300, 3, 1, 7);
  for (const float factor : {1e4f, 1e30f}) {
    for (float& z : data.logits) z *= factor;
    for (const CalibrationMethod method : {kTemperature, kPlatt}) {
      const absl::StatusOr<FitResult> result = Fit(method, data);
      ASSERT_TRUE(result.ok());
      ExpectSane(*result, 300);
    }
  }
}

// --- Bad input, and cancelling ---

TEST(FitTest, BadValuesAreNamed) {
  Labelled data = RandomLabelled(50, 3, 1, 8);
  data.logits[3 * 17 + 1] = std::numeric_limits<float>::quiet_NaN();
  ExpectError(Fit(kTemperature, data), absl::StatusCode::kInvalidArgument, "logits[17, 1]");
  data.logits[3 * 17 + 1] = 0;
  data.labels[40] = 3;
  ExpectError(Fit(kTemperature, data), absl::StatusCode::kInvalidArgument, "labels[40]");
  data.labels.pop_back();
  ExpectError(Fit(kTemperature, data), absl::StatusCode::kInvalidArgument, "have 50 and 49");
}

TEST(FitTest, BadOptionsAreNamed) {
  const Labelled data = RandomLabelled(50, 3, 1, 9);
  FitOptions options;
  for (const int folds : {-1, 1, 21}) {
    options.folds = folds;
    ExpectError(Fit(kTemperature, data, options), absl::StatusCode::kInvalidArgument, "folds");
  }
  options = {};
  options.bins = 0;
  ExpectError(Fit(kTemperature, data, options), absl::StatusCode::kInvalidArgument, "bins");
  ExpectError(Fit(static_cast<CalibrationMethod>(99), data), absl::StatusCode::kInvalidArgument, "99");
}

TEST(FitTest, ZeroFoldsLeaveCrossValidationOut) {
  FitOptions options;
  options.folds = 0;
  const absl::StatusOr<FitResult> result = Fit(kTemperature, RandomLabelled(100, 3, 1, 10), options);
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->report.cross_validated.has_value());
  EXPECT_EQ(result->report.folds, 0);
}

TEST(FitTest, RowsVisitedOutOfFoldAreThoseOfTheCrossValidatedReport) {
  const Labelled data = RandomLabelled(400, 4, 2, 21);
  for (const double holdout : {0.0, 0.3}) {
    FitOptions options;
    options.holdout = holdout;
    const absl::StatusOr<FitResult> fit = Fit(kTemperature, data, options);
    ASSERT_TRUE(fit.ok());
    double nll = 0;
    int64_t rows = 0;
    ASSERT_TRUE(VisitOutOfFold(kTemperature, data.view(), data.labels, options, [&](const AppliedRow& row) {
                  nll += RowNll(row.probabilities, row.label);
                  ++rows;
                }).ok());
    EXPECT_EQ(rows, fit->report.cross_validated->n);
    EXPECT_NEAR(nll / static_cast<double>(rows), *fit->report.cross_validated->nll, 1e-12);
  }
}

TEST(FitTest, NothingIsVisitedOutOfFoldWhereNoRowIsLeftOut) {
  const Labelled data = RandomLabelled(100, 3, 1, 22);
  const auto visit = [&](CalibrationMethod method, const Labelled& rows, FitOptions options) {
    return VisitOutOfFold(method, rows.view(), rows.labels, options, [](const AppliedRow&) { FAIL(); });
  };
  ExpectError(visit(CalibrationMethod::kAuto, data, {}), absl::StatusCode::kInvalidArgument, "not auto");
  ExpectError(visit(kTemperature, data, {.folds = 0}), absl::StatusCode::kInvalidArgument,
              "folds or holdout");
  FitOptions cancelled;
  cancelled.progress = [](const std::string&, double) { return false; };
  ExpectError(visit(kTemperature, data, cancelled), absl::StatusCode::kCancelled, "cancelled");
  ExpectError(visit(kTemperature, RandomLabelled(5, 3, 1, 22), {}), absl::StatusCode::kFailedPrecondition,
              "at least 30");
}

TEST(FitTest, WhatAMethodTakesBesideTheLogitsIsBounded) {
  const Labelled data = RandomLabelled(100, 5, 2, 23);
  FitOptions options;
  options.max_bytes = 100 * 5 * 8;
  EXPECT_TRUE(Fit(CalibrationMethod::kVectorScaling, data, options).ok());
  --options.max_bytes;
  ExpectError(Fit(CalibrationMethod::kVectorScaling, data, options), absl::StatusCode::kFailedPrecondition,
              "takes 4000 bytes beside the logits; 3999 are left: take at most 99 rows, or another method");
  EXPECT_TRUE(Fit(kTemperature, data, options).ok());
  // auto goes without it.
  options.max_bytes = 1;
  options.folds = 2;
  const absl::StatusOr<FitResult> chosen = Fit(CalibrationMethod::kAuto, data, options);
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  for (const MethodComparison& row : chosen->report.comparison) {
    EXPECT_EQ(row.failure.empty(), row.method != CalibrationMethod::kVectorScaling) << row.failure;
  }
}

TEST(FitTest, ProgressTellsBothStagesAndNeverFallsWithinOne) {
  for (const CalibrationMethod method : {kTemperature, kPlatt}) {
    std::vector<std::string> stages;
    double last = 0;
    FitOptions options;
    options.progress = [&](const std::string& stage, double fraction) {
      if (stages.empty() || stages.back() != stage) {
        stages.push_back(stage);
        last = 0;
      }
      EXPECT_GE(fraction, last);
      EXPECT_LE(fraction, 1);
      last = fraction;
      return true;
    };
    ASSERT_TRUE(Fit(method, RandomLabelled(300, 3, 1, 11), options).ok());
    EXPECT_THAT(stages, ElementsAre("fitting", "cross-validating"));
  }
}

TEST(FitTest, ProgressCanCancelEitherStage) {
  for (const CalibrationMethod method : {kTemperature, kPlatt}) {
    for (const std::string at : {"fitting", "cross-validating"}) {
      FitOptions options;
      options.progress = [&](const std::string& stage, double) { return stage != at; };
      ExpectError(Fit(method, RandomLabelled(300, 3, 1, 12), options), absl::StatusCode::kCancelled,
                  "cancelled");
    }
  }
}

}  // namespace
}  // namespace calserve
