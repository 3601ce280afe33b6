// Choosing a method by rows left out: FitCalibrator with kAuto.

#include "calibration/choose_method.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "calibration/fit.h"
#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using enum CalibrationMethod;

absl::StatusOr<FitResult> Auto(const Labelled& data, const FitOptions& options = {}) {
  return FitCalibrator(kAuto, data.view(), data.labels, options);
}

const MethodComparison& RowOf(const FitReport& report, CalibrationMethod method) {
  for (const MethodComparison& row : report.comparison) {
    if (row.method == method) return row;
  }
  ADD_FAILURE() << MethodName(method) << " was not compared";
  return report.comparison.front();
}

std::vector<CalibrationMethod> Compared(const FitReport& report) {
  std::vector<CalibrationMethod> out;
  for (const MethodComparison& row : report.comparison) out.push_back(row.method);
  return out;
}

// Class 0 is overstated by 2, which no temperature mends.
Labelled OneClassOverstated(int rows, int seed) {
  Labelled data = RandomLabelled(rows, 4, 1, seed);
  for (size_t i = 0; i < data.logits.size(); i += 4) data.logits[i] += 2;
  return data;
}

TEST(ChooseMethodTest, TakesNoneWhereTheModelIsCalibrated) {
  const absl::StatusOr<FitResult> result = Auto(RandomLabelled(2000, 4, 1, 1));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->spec.method, kNone);
}

TEST(ChooseMethodTest, TakesTemperatureWhereNothingElseIsBetterByMoreThanItsError) {
  const absl::StatusOr<FitResult> result = Auto(RandomLabelled(2000, 4, 2.5, 2));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->spec.method, kTemperature);
  EXPECT_LT(result->report.cross_validated->ece, 0.03);
}

TEST(ChooseMethodTest, TakesAnOffsetAClassWhereAClassIsOverstated) {
  const absl::StatusOr<FitResult> result = Auto(OneClassOverstated(3000, 3));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->spec.method, ::testing::AnyOf(kPlattOneVsRest, kVectorScaling));
  EXPECT_GT(RowOf(result->report, result->spec.method).accuracy_change, 0.02);
  EXPECT_GT(RowOf(result->report, kTemperature).nll_excess,
            RowOf(result->report, kTemperature).standard_error);
}

TEST(ChooseMethodTest, TheSimplestWithinOneStandardErrorOfTheBestIsChosen) {
  for (const int seed : {4, 5, 6}) {
    const absl::StatusOr<FitResult> result = Auto(RandomLabelled(600, 3, 1.3, seed));
    ASSERT_TRUE(result.ok()) << result.status();
    double least = 1e9;
    for (const MethodComparison& row : result->report.comparison) least = std::min(least, row.nll);
    for (const MethodComparison& row : result->report.comparison) {
      EXPECT_NEAR(row.nll_excess, row.nll - least, 1e-12);
      EXPECT_GE(row.nll_excess, 0);
      if (row.nll_excess > row.standard_error) continue;
      EXPECT_EQ(result->spec.method, row.method) << "the first within its error";
      break;
    }
  }
}

// Of two rows a fold the differences, their mean and its error are checked by hand.
TEST(ChooseMethodTest, TheErrorIsOfThePairedDifferences) {
  const Labelled data = OneClassOverstated(400, 7);
  const std::vector<FoldSplit> splits = SplitFolds(data.rows(), 5);
  const absl::StatusOr<Choice> choice = ChooseMethod(splits, 4, 15, [](double) { return true; });
  ASSERT_TRUE(choice.ok());
  const auto best = std::min_element(choice->comparison.begin(), choice->comparison.end(),
                                     [](const auto& a, const auto& b) { return a.nll < b.nll; });
  const auto nlls_of = [&](CalibrationMethod method) {
    std::vector<double> nlls;
    for (const FoldSplit& split : splits) {
      MetricsAccumulator unused(1);
      const Calibrator calibrator =
          Calibrator::Create(FindMethod(method)->fit(split.rest, [](double) { return true; })->spec).value();
      AddRows(calibrator, split.held_out, &unused, &nlls);
    }
    return nlls;
  };
  const std::vector<double> one = nlls_of(kTemperature), other = nlls_of(best->method);
  ASSERT_EQ(one.size(), 400u);
  double mean = 0, square = 0;
  for (size_t i = 0; i < 400; ++i) mean += (one[i] - other[i]) / 400;
  for (size_t i = 0; i < 400; ++i) square += std::pow(one[i] - other[i] - mean, 2) / 399;
  const MethodComparison& row = choice->comparison[1];
  EXPECT_EQ(row.method, kTemperature);
  EXPECT_NEAR(row.nll_excess, mean, 1e-12);
  EXPECT_NEAR(row.standard_error, std::sqrt(square / 400), 1e-12);
}

TEST(ChooseMethodTest, ComparesEveryMethodForSoManyClassesInOrderOfSimplicity) {
  const absl::StatusOr<FitResult> many = Auto(RandomLabelled(300, 3, 1, 8)),
                                  two = Auto(RandomLabelled(300, 2, 1, 8));
  ASSERT_TRUE(many.ok() && two.ok()) << many.status() << two.status();
  EXPECT_THAT(Compared(many->report),
              ElementsAre(kNone, kTemperature, kPlattOneVsRest, kAdaptiveTemperature, kEnsembleTemperature,
                          kBetaOneVsRest, kVectorScaling, kTopLabelIsotonic, kIsotonicOneVsRest, kHistogram,
                          kScalingBinning));
  EXPECT_THAT(Compared(two->report),
              ElementsAre(kNone, kTemperature, kPlatt, kAdaptiveTemperature, kEnsembleTemperature, kBeta,
                          kVectorScaling, kTopLabelIsotonic, kIsotonic, kHistogram, kScalingBinning));
}

TEST(ChooseMethodTest, FiguresOfTheChosenAreLabelledOptimisticUnlessOuterFoldsJudgeTheChoice) {
  const Labelled data = RandomLabelled(500, 3, 2, 9);
  const absl::StatusOr<FitResult> selected = Auto(data);
  const absl::StatusOr<FitResult> outer = Auto(data, {.folds = 3, .outer_folds = 4});
  ASSERT_TRUE(selected.ok() && outer.ok()) << selected.status() << outer.status();
  EXPECT_TRUE(selected->report.selected_optimistic);
  EXPECT_EQ(selected->report.folds, 5);
  EXPECT_EQ(*selected->report.cross_validated->nll, RowOf(selected->report, selected->spec.method).nll);
  EXPECT_FALSE(outer->report.selected_optimistic);
  EXPECT_EQ(outer->report.folds, 4);
  EXPECT_EQ(outer->report.cross_validated->n, 500);
  EXPECT_NE(*outer->report.cross_validated->nll, RowOf(outer->report, outer->spec.method).nll);
}

TEST(ChooseMethodTest, HoldoutJudgesOnAboutItsShare) {
  const absl::StatusOr<FitResult> result = Auto(RandomLabelled(2000, 3, 2, 10), {.holdout = 0.3});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_NEAR(static_cast<double>(result->report.cross_validated->n), 600, 80);
  EXPECT_EQ(result->report.holdout, 0.3);
  EXPECT_EQ(result->report.folds, 0);
}

TEST(ChooseMethodTest, HoldoutJudgesASingleMethodToo) {
  const Labelled data = RandomLabelled(2000, 3, 2, 11);
  const absl::StatusOr<FitResult> result =
      FitCalibrator(kTemperature, data.view(), data.labels, {.holdout = 0.25});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_NEAR(static_cast<double>(result->report.cross_validated->n), 500, 80);
  EXPECT_TRUE(result->report.comparison.empty());
  EXPECT_FALSE(result->report.selected_optimistic);
}

TEST(ChooseMethodTest, IsTheSameForRowsInAnotherOrder) {
  const Labelled data = OneClassOverstated(400, 12);
  const absl::StatusOr<FitResult> one = Auto(data), other = Auto(Shuffled(data, 13));
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_EQ(one->spec, other->spec);
  for (size_t i = 0; i < one->report.comparison.size(); ++i) {
    EXPECT_EQ(one->report.comparison[i].nll, other->report.comparison[i].nll);
    EXPECT_EQ(one->report.comparison[i].standard_error, other->report.comparison[i].standard_error);
  }
}

TEST(ChooseMethodTest, NamesAClassWithFewerRowsThanFolds) {
  Labelled data = RandomLabelled(300, 5, 1, 14);
  for (int64_t i = 0; i < data.size(); ++i) data.labels[i] = static_cast<int32_t>(i < 3 ? 4 : i % 3);
  ExpectError(Auto(data), absl::StatusCode::kFailedPrecondition, "at least 5 rows of each class");
  EXPECT_THAT(std::string(Auto(data).status().message()), HasSubstr("class 3 has 0, class 4 has 3"));
  EXPECT_TRUE(Auto(data, {.holdout = 0.3}).ok()) << "a holdout asks for no class in every fold";
  std::fill(data.labels.begin() + 3, data.labels.begin() + 6, 3);
  EXPECT_TRUE(Auto(data, {.folds = 3}).ok());
}

TEST(ChooseMethodTest, NamesFiveOfManySuchClasses) {
  Labelled data = RandomLabelled(300, 20, 1, 15);
  for (int64_t i = 0; i < data.size(); ++i) data.labels[i] = static_cast<int32_t>(i % 2);
  const std::string message(Auto(data).status().message());
  EXPECT_THAT(message, HasSubstr("class 6 has 0 and 13 more classes"));
  EXPECT_THAT(message, Not(HasSubstr("class 7")));
}

TEST(ChooseMethodTest, RowsThatAreAllAlikeSayThatNothingIsLeftToJudgeBy) {
  Labelled data{2, {}, std::vector<int32_t>(100, 0)};
  for (int i = 0; i < 100; ++i) data.logits.insert(data.logits.end(), {0, 1});
  data.labels[0] = 1;
  ExpectError(Auto(data, {.holdout = 0.1}), absl::StatusCode::kFailedPrecondition, "rows to judge by");
}

TEST(ChooseMethodTest, RefusesOptionsThatDoNotBelongToIt) {
  const Labelled data = RandomLabelled(100, 3, 1, 16);
  ExpectError(Auto(data, {.folds = 0}), absl::StatusCode::kInvalidArgument, "folds or holdout");
  ExpectError(Auto(data, {.outer_folds = 1}), absl::StatusCode::kInvalidArgument, "outer_folds must be 0 or");
  for (const double holdout : {-0.1, 0.95, std::nan("")}) {
    ExpectError(Auto(data, {.holdout = holdout}), absl::StatusCode::kInvalidArgument, "holdout must be in");
  }
  ExpectError(Auto(data, {.holdout = 0.05}), absl::StatusCode::kFailedPrecondition,
              "a holdout of 0.05 of 100 rows leaves fewer than 10 to judge on: take at least 0.1, or folds");
  ExpectError(FitCalibrator(kTemperature, data.view(), data.labels, {.outer_folds = 3}),
              absl::StatusCode::kInvalidArgument, "only with auto");
  ExpectError(Calibrator::Create({kAuto, 3, {}}), absl::StatusCode::kInvalidArgument, "method auto");
  EXPECT_EQ(*ParseMethod("auto"), kAuto);
  EXPECT_EQ(MethodName(kAuto), "auto");
}

TEST(ChooseMethodTest, TellsItsStagesAndCanBeCancelledInEach) {
  const Labelled data = RandomLabelled(200, 3, 2, 17);
  FitOptions options = {.folds = 2, .outer_folds = 2};
  std::vector<std::string> stages;
  double last = 0;
  options.progress = [&](const std::string& stage, double fraction) {
    if (stages.empty() || stages.back() != stage) {
      stages.push_back(stage);
      last = 0;
    }
    EXPECT_TRUE(fraction >= last && fraction <= 1) << stage << " " << last << " " << fraction;
    last = fraction;
    return true;
  };
  ASSERT_TRUE(Auto(data, options).ok());
  EXPECT_THAT(stages, ElementsAre("comparing", "cross-validating", "fitting"));
  for (const std::string& at : stages) {
    options.progress = [&](const std::string& stage, double fraction) {
      return stage != at || fraction < 0.3;
    };
    if (at == "fitting") options.progress = [&](const std::string& stage, double) { return stage != at; };
    ExpectError(Auto(data, options), absl::StatusCode::kCancelled, "cancelled");
  }
}

}  // namespace
}  // namespace calserve
