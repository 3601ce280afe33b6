// What holds of every method, by the table: invariances, order, the edges.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "calibration/fit.h"
#include "calibration/method.h"
#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

constexpr float kMax = std::numeric_limits<float>::max();

class MethodsTest : public ::testing::TestWithParam<const Method*> {
 protected:
  const Method& method() const { return *GetParam(); }
  int classes() const { return method().two_classes_only ? 2 : 5; }
  absl::StatusOr<FitResult> Fit(const Labelled& data, int folds = 0) const {
    FitOptions options;
    options.folds = folds;
    return FitCalibrator(method().id, data.view(), data.labels, options);
  }
  // A fit that must work, as a calibrator.
  Calibrator Fitted(const Labelled& data) const {
    const absl::StatusOr<FitResult> result = Fit(data);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return Calibrator::None(data.view().classes());
    EXPECT_TRUE(std::isfinite(*result->report.after.nll));
    return Calibrator::Create(result->spec).value();
  }
  // Labels the rows by the largest logit, or the smallest.
  static void LabelBy(bool largest, Labelled* data) {
    for (int64_t i = 0; i < data->size(); ++i) {
      const auto row = data->logits.begin() + i * data->columns;
      const auto best =
          largest ? std::max_element(row, row + data->columns) : std::min_element(row, row + data->columns);
      data->labels[i] = static_cast<int32_t>(best - row);
    }
  }
};

// Probabilities, and the predicted class where the method says so.
void ExpectProbabilities(const Calibrator& calibrator, const std::vector<float>& row) {
  std::vector<float> p(calibrator.classes());
  ASSERT_TRUE(calibrator.Apply(row, absl::MakeSpan(p)).ok());
  EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 2e-6);
  for (const float value : p) EXPECT_TRUE(value >= 0 && value <= 1) << value;
  if (!FindMethod(calibrator.spec().method)->keeps_prediction || row.size() == 1) return;
  EXPECT_EQ(Calibrator::PredictedClass(p, row), std::max_element(row.begin(), row.end()) - row.begin());
}

void ExpectProbabilitiesAtTheEdges(const Calibrator& calibrator) {
  const size_t classes = static_cast<size_t>(calibrator.classes());
  for (const float a : {0.0f, 1e-45f, 1.0f, 50.0f, 800.0f, 1e4f, 1e30f, kMax}) {
    for (const float b : {0.0f, -a, a, a / 2, std::nextafter(a, kMax)}) {
      std::vector<float> row(classes, b);
      row[classes - 1] = a;
      ExpectProbabilities(calibrator, row);
      std::fill(row.begin(), row.end(), -a);
      row[0] = b;
      ExpectProbabilities(calibrator, row);
    }
  }
}

TEST_P(MethodsTest, GivesProbabilitiesAndKeepsThePredictionWhereItSays) {
  const Labelled data = RandomLabelled(2000, classes(), 2, 1);
  const absl::StatusOr<FitResult> result = Fit(data, 5);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->spec.method, method().id);
  EXPECT_TRUE(result->report.converged);
  if (method().keeps_prediction) {
    EXPECT_EQ(result->report.changed_predictions, 0);
  }
  const Calibrator calibrator = Calibrator::Create(result->spec).value();
  for (int64_t i = 0; i < 200; ++i) {
    const auto row = data.logits.begin() + i * classes();
    ExpectProbabilities(calibrator, {row, row + classes()});
  }
  ExpectProbabilitiesAtTheEdges(calibrator);
}

TEST_P(MethodsTest, ImprovesOnAnOverconfidentModelOutOfFold) {
  if (method().id == CalibrationMethod::kNone) GTEST_SKIP() << "softmax as it is";
  const absl::StatusOr<FitResult> result = Fit(RandomLabelled(4000, classes(), 2.5, 2), 5);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(*result->report.cross_validated->nll, *result->report.before.nll);
  EXPECT_LT(result->report.cross_validated->ece, result->report.before.ece / 2);
}

TEST_P(MethodsTest, IsTheSameToTheBitForRowsInAnotherOrder) {
  const Labelled data = RandomLabelled(500, classes(), 2, 3);
  const absl::StatusOr<FitResult> one = Fit(data, 3), other = Fit(Shuffled(data, 4), 3);
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_EQ(one->spec, other->spec);
  EXPECT_EQ(one->report.cross_validated->nll, other->report.cross_validated->nll);
}

TEST_P(MethodsTest, IsInvariantToAConstantAddedToARow) {
  const Labelled data = RandomLabelled(500, classes(), 2, 5);
  const absl::StatusOr<FitResult> one = Fit(data, 3), other = Fit(Shifted(data), 3);
  ASSERT_TRUE(one.ok() && other.ok());
  ASSERT_EQ(one->spec.parameters.size(), other->spec.parameters.size());
  for (size_t p = 0; p < one->spec.parameters.size(); ++p) {
    const std::vector<double>& a = one->spec.parameters[p].values;
    const std::vector<double>& b = other->spec.parameters[p].values;
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-9 * std::max(1.0, std::abs(a[i])));
  }
  EXPECT_NEAR(*one->report.cross_validated->nll, *other->report.cross_validated->nll, 1e-7);
}

TEST_P(MethodsTest, ASingleLogitIsTheTwoClassZeroAndIt) {
  Labelled pair = RandomLabelled(300, 2, 2, 6), single{1, {}, pair.labels};
  for (int i = 0; i < 300; ++i) {
    single.logits.push_back(pair.logits[2 * i + 1] -= pair.logits[2 * i]);
    pair.logits[2 * i] = 0;
  }
  const absl::StatusOr<FitResult> a = Fit(pair), b = Fit(single);
  ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
  EXPECT_EQ(a->spec, b->spec);
  ExpectProbabilities(Calibrator::Create(b->spec).value(), {1.5f});
}

TEST_P(MethodsTest, AllRightAndAllWrongAreFinite) {
  for (const bool right : {true, false}) {
    Labelled data = RandomLabelled(300, classes(), 1, 7);
    LabelBy(right, &data);
    ExpectProbabilitiesAtTheEdges(Fitted(data));
  }
}

TEST_P(MethodsTest, EqualLogitsAreFinite) {
  Labelled data{classes(), std::vector<float>(100 * classes(), 1.5f), {}};
  for (int i = 0; i < 100; ++i) data.labels.push_back(i % 2);
  ExpectProbabilitiesAtTheEdges(Fitted(data));
}

TEST_P(MethodsTest, HugeAndTinyLogitsAreFinite) {
  for (const float factor : {1e-30f, 1e4f, 1e30f}) {
    Labelled data = RandomLabelled(300, classes(), 1, 8);
    for (float& z : data.logits) z *= factor;
    ExpectProbabilitiesAtTheEdges(Fitted(data));
  }
}

TEST_P(MethodsTest, TwoRowsOfTwoClassesAreFinite) {
  Labelled data = RandomLabelled(2, classes(), 1, 9);
  data.labels = {0, 1};
  FitOptions options;
  options.min_rows = 1;
  const absl::StatusOr<FitResult> result = FitCalibrator(method().id, data.view(), data.labels, options);
  ASSERT_TRUE(result.ok()) << result.status();
  ExpectProbabilitiesAtTheEdges(Calibrator::Create(result->spec).value());
}

TEST_P(MethodsTest, TenThousandClassesAreFinite) {
  if (method().two_classes_only) GTEST_SKIP() << "two classes only";
  const Labelled data = RandomLabelled(40, 10'000, 1, 10);
  const Calibrator calibrator = Fitted(data);
  ExpectProbabilities(calibrator, {data.logits.begin(), data.logits.begin() + 10'000});
}

TEST_P(MethodsTest, RefusesMoreClassesOrFitsWhatStandsForThem) {
  if (!method().two_classes_only) GTEST_SKIP() << "any number of classes";
  const Labelled data = RandomLabelled(300, 3, 1, 11);
  const absl::StatusOr<FitResult> result = Fit(data);
  if (method().on_more_classes == method().id) {
    ExpectError(result, absl::StatusCode::kInvalidArgument, "needs 2 classes; was 3");
  } else {
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->spec.method, method().on_more_classes);
  }
}

TEST_P(MethodsTest, RefusesWhatNoFitCanUse) {
  Labelled data = RandomLabelled(100, classes(), 1, 12);
  data.logits[7] = std::numeric_limits<float>::quiet_NaN();
  ExpectError(Fit(data), absl::StatusCode::kInvalidArgument, "must be finite");
  data.logits[7] = std::numeric_limits<float>::infinity();
  ExpectError(Fit(data), absl::StatusCode::kInvalidArgument, "must be finite");
  data.logits[7] = 0;
  std::fill(data.labels.begin(), data.labels.end(), 1);
  ExpectError(Fit(data), absl::StatusCode::kFailedPrecondition, "all 100 rows are of class 1");
  data.labels = {0};
  data.logits.resize(classes());
  ExpectError(Fit(data), absl::StatusCode::kFailedPrecondition, "at least 30 labelled rows; has 1");
}

TEST_P(MethodsTest, CanBeCancelledAtEveryStepThatItTells) {
  const Labelled data = RandomLabelled(300, classes(), 2, 13);
  int told = 0;
  FitOptions options;
  options.folds = 0;
  options.progress = [&](const std::string&, double fraction) {
    EXPECT_TRUE(fraction >= 0 && fraction <= 1) << fraction;
    ++told;
    return true;
  };
  ASSERT_TRUE(FitCalibrator(method().id, data.view(), data.labels, options).ok());
  EXPECT_GT(told, method().id == CalibrationMethod::kNone ? 0 : 1) << "never asked once it is under way";
  for (int stop = 1; stop <= told; ++stop) {
    int at = 0;
    options.progress = [&](const std::string&, double) { return ++at < stop; };
    ExpectError(FitCalibrator(method().id, data.view(), data.labels, options), absl::StatusCode::kCancelled,
                "cancelled");
  }
}

std::vector<const Method*> Table() {
  std::vector<const Method*> out;
  for (const Method& method : AllMethods()) out.push_back(&method);
  return out;
}

INSTANTIATE_TEST_SUITE_P(All, MethodsTest, ::testing::ValuesIn(Table()),
                         [](const auto& info) { return info.param->name; });

TEST(MethodTableTest, NamesAndIdsAreUniqueAndSomeMethodStandsForEveryNumberOfClasses) {
  for (const Method& method : AllMethods()) {
    EXPECT_EQ(FindMethod(method.id), &method) << method.name;
    EXPECT_EQ(*ParseMethod(method.name), method.id);
    EXPECT_EQ(MethodName(method.id), method.name);
    ASSERT_NE(FindMethod(method.on_more_classes), nullptr);
    if (method.on_more_classes != method.id) {
      EXPECT_TRUE(method.two_classes_only);
      EXPECT_FALSE(FindMethod(method.on_more_classes)->two_classes_only);
    }
  }
  EXPECT_EQ(FindMethod(static_cast<CalibrationMethod>(99)), nullptr);
}

// Each starts from temperature's solution, so neither can be less likely on the rows fitted on.
TEST(MethodTableTest, RicherTemperaturesAreAtLeastAsLikelyInSample) {
  for (const int seed : {1, 2, 3}) {
    Labelled data = RandomLabelled(1000, 4, 1 + seed, seed);
    for (size_t i = 0; i < data.logits.size() / 2; ++i) data.logits[i] *= 2;
    const auto nll = [&](CalibrationMethod method) {
      return *FitCalibrator(method, data.view(), data.labels, {.folds = 0})->report.after.nll;
    };
    const double temperature = nll(CalibrationMethod::kTemperature);
    EXPECT_LE(temperature, nll(CalibrationMethod::kNone));
    EXPECT_LE(nll(CalibrationMethod::kAdaptiveTemperature), temperature);
    EXPECT_LT(nll(CalibrationMethod::kEnsembleTemperature), temperature + 1e-9);
  }
}

}  // namespace
}  // namespace calserve
