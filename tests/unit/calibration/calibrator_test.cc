#include "calibration/calibrator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using enum CalibrationMethod;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> Apply(const Calibrator& calibrator, const std::vector<float>& logits) {
  std::vector<float> p(calibrator.classes());
  const absl::Status status = calibrator.Apply(logits, absl::MakeSpan(p));
  EXPECT_TRUE(status.ok()) << status;
  return p;
}

Calibrator Create(CalibratorSpec spec) {
  absl::StatusOr<Calibrator> calibrator = Calibrator::Create(std::move(spec));
  EXPECT_TRUE(calibrator.ok()) << calibrator.status();
  return *std::move(calibrator);
}

TEST(CalibratorTest, MethodNamesRoundTrip) {
  for (const CalibrationMethod method : {kNone, kTemperature, kPlatt, kPlattOneVsRest}) {
    EXPECT_EQ(*ParseMethod(MethodName(method)), method);
  }
  ExpectError(ParseMethod("magic"), absl::StatusCode::kInvalidArgument, "magic");
}

TEST(CalibratorTest, NoneIsSoftmax) {
  const float sum = 1 + std::exp(1.0f) + std::exp(2.0f);
  EXPECT_THAT(Apply(Calibrator::None(3), {0, 1, 2}),
              ElementsAre(FloatNear(1 / sum, 1e-7), FloatNear(std::exp(1.0f) / sum, 1e-7),
                          FloatNear(std::exp(2.0f) / sum, 1e-7)));
}

TEST(CalibratorTest, TemperatureDividesTheLogits) {
  EXPECT_EQ(Apply(TemperatureCalibrator(3, 4), {0, 4, 8}), Apply(Calibrator::None(3), {0, 1, 2}));
}

TEST(CalibratorTest, EpsilonMixesInTheUniformDistribution) {
  const Calibrator mixed = Create({kTemperature, 2, {{"temperature", {1}}, {"epsilon", {0.1}}}});
  EXPECT_THAT(Apply(mixed, {-1e4, 1e4}), ElementsAre(FloatNear(0.05f, 1e-7), FloatNear(0.95f, 1e-7)));
}

TEST(CalibratorTest, PlattIsALogisticInTheLogitDifference) {
  const Calibrator platt = Create({kPlatt, 2, {{"slope", {-0.5}}, {"offset", {0.25}}}});
  const float expected = 1 / (1 + std::exp(-0.5f * 3 + 0.25f));
  EXPECT_THAT(Apply(platt, {1, 4}), ElementsAre(FloatNear(1 - expected, 1e-7), FloatNear(expected, 1e-7)));
}

TEST(CalibratorTest, PlattKeepsASmallProbabilityOnEitherSide) {
  const Calibrator platt = Create({kPlatt, 2, {{"slope", {-1}}, {"offset", {0}}}});
  EXPECT_FLOAT_EQ(Apply(platt, {0, 50})[0], std::exp(-50.0f));
  EXPECT_FLOAT_EQ(Apply(platt, {0, -50})[1], std::exp(-50.0f));
}

TEST(CalibratorTest, OneVsRestNormalisesItsLogistics) {
  const Calibrator calibrator =
      Create({kPlattOneVsRest, 3, {{"slope", {-1, -2, -0.5}}, {"offset", {0, 0.5, -0.5}}}});
  const double lse = std::log(std::exp(0.0) + std::exp(1.0) + std::exp(2.0));
  double p[3] = {1 / (1 + std::exp(-(0 - lse))), 1 / (1 + std::exp(-2 * (1 - lse) + 0.5)),
                 1 / (1 + std::exp(-0.5 * (2 - lse) - 0.5))};
  const double sum = p[0] + p[1] + p[2];
  EXPECT_THAT(
      Apply(calibrator, {0, 1, 2}),
      ElementsAre(FloatNear(p[0] / sum, 1e-7), FloatNear(p[1] / sum, 1e-7), FloatNear(p[2] / sum, 1e-7)));
}

TEST(CalibratorTest, OneVsRestIsUniformWhereAllLogisticsAreZero) {
  const Calibrator calibrator =
      Create({kPlattOneVsRest, 4, {{"slope", {0, 0, 0, 0}}, {"offset", {1e6, 1e6, 1e6, 1e6}}}});
  EXPECT_THAT(Apply(calibrator, {1, 2, 3, 4}), Each(0.25f));
}

TEST(CalibratorTest, ASingleLogitIsTheTwoClassZeroAndIt) {
  for (const Calibrator& calibrator :
       {Calibrator::None(2), TemperatureCalibrator(2, 2),
        Create({kPlatt, 2, {{"slope", {-2}}, {"offset", {1}}}}),
        Create({kPlattOneVsRest, 2, {{"slope", {-2, -1}}, {"offset", {1, 0}}}})}) {
    EXPECT_EQ(Apply(calibrator, {1.5f}), Apply(calibrator, {0, 1.5f}));
  }
}

TEST(CalibratorTest, Float64LogitsGiveWhatFloat32Ones) {
  const Calibrator calibrator = TemperatureCalibrator(3, 1.7);
  std::vector<float> p(3);
  ASSERT_TRUE(calibrator.ApplyFloat64({0.5, -1, 2}, absl::MakeSpan(p)).ok());
  EXPECT_EQ(p, Apply(calibrator, {0.5f, -1, 2}));
}

// Every method, at any finite input: probabilities in [0, 1] that sum to 1, and no NaN.
TEST(CalibratorTest, ProbabilitiesSumToOneAtAnyFiniteLogits) {
  constexpr float kMax = std::numeric_limits<float>::max();
  const std::vector<std::vector<float>> rows = {{0, 0, 0},        {1e4, -1e4, 0},         {kMax, -kMax, kMax},
                                                {-kMax, 1, kMax}, {1e-45f, -1e-45f, 0},   {-1e4, -1e4, -1e4},
                                                {88, 89, 90},     {-1000, -1000.5, -2000}};
  const double huge = std::numeric_limits<double>::max();
  const std::vector<Calibrator> calibrators = {
      Calibrator::None(3),
      TemperatureCalibrator(3, 1e-6),
      TemperatureCalibrator(3, 1e6),
      Create({kTemperature, 3, {{"temperature", {1e-2}}, {"epsilon", {0.01}}}}),
      Create({kPlattOneVsRest, 3, {{"slope", {-1, -1, -1}}, {"offset", {0, 0, 0}}}}),
      Create({kPlattOneVsRest, 3, {{"slope", {huge, -huge, 0}}, {"offset", {huge, -huge, -huge}}}}),
  };
  for (const Calibrator& calibrator : calibrators) {
    for (const std::vector<float>& row : rows) {
      const std::vector<float> p = Apply(calibrator, row);
      EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 1e-6);
      for (const float value : p) EXPECT_TRUE(value >= 0 && value <= 1) << value;
    }
  }
}

TEST(CalibratorTest, TemperatureNeverChangesThePredictedClass) {
  const Labelled data = RandomLabelled(500, 7, 1, 3);
  std::vector<float> p(7);
  for (const double temperature : {1e-6, 1e-2, 0.3, 1.0, 20.0, 1e6}) {
    const Calibrator calibrator = TemperatureCalibrator(7, temperature);
    for (int64_t i = 0; i < data.size(); ++i) {
      const absl::Span<const float> row = absl::MakeConstSpan(data.logits).subspan(i * 7, 7);
      ASSERT_TRUE(calibrator.Apply(row, absl::MakeSpan(p)).ok());
      EXPECT_EQ(Calibrator::PredictedClass(p, row), std::max_element(row.begin(), row.end()) - row.begin());
    }
  }
}

TEST(CalibratorTest, TemperatureKeepsTheOrderOfLogitsAnUlpApart) {
  const Calibrator calibrator = TemperatureCalibrator(3, 1e6);
  const float low = 5, high = std::nextafter(low, kInfinity);
  const std::vector<float> row = {low, high, low};
  const std::vector<float> p = Apply(calibrator, row);
  EXPECT_EQ(p[0], p[1]) << "the case needs probabilities that tie";
  EXPECT_EQ(Calibrator::PredictedClass(p, row), 1);
}

TEST(CalibratorTest, EqualProbabilitiesAreOrderedByLogitThenByIndex) {
  EXPECT_EQ(Calibrator::PredictedClass({0.2f, 0.4f, 0.4f}, {0, 1, 2}), 2);
  EXPECT_EQ(Calibrator::PredictedClass({0.2f, 0.4f, 0.4f}, {0, 2, 2}), 1);
  EXPECT_EQ(Calibrator::PredictedClass({0.5f, 0.5f}, {0.1f}), 1);
  EXPECT_EQ(Calibrator::PredictedClass({0.5f, 0.5f}, {0.0f}), 0);
  EXPECT_EQ(Calibrator::PredictedClass({0.5f, 0.5f}, {-0.1f}), 0);
}

TEST(CalibratorTest, RejectsLogitsThatAreNotFiniteAndNamesThem) {
  std::vector<float> p(3);
  const Calibrator calibrator = Calibrator::None(3);
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    ExpectError(calibrator.Apply({0, 1, bad}, absl::MakeSpan(p)), absl::StatusCode::kInvalidArgument,
                "logits[2]");
  }
  ExpectError(calibrator.Apply({kNan, 1, 2}, absl::MakeSpan(p)), absl::StatusCode::kInvalidArgument, "nan");
  ExpectError(calibrator.ApplyFloat64({0, 1e39, 0}, absl::MakeSpan(p)), absl::StatusCode::kInvalidArgument,
              "logits[1]");
}

TEST(CalibratorTest, RejectsWrongLengths) {
  std::vector<float> p(3), two(2);
  const Calibrator calibrator = Calibrator::None(3);
  ExpectError(calibrator.Apply({0, 1}, absl::MakeSpan(p)), absl::StatusCode::kInvalidArgument,
              "3 values; have 2");
  ExpectError(calibrator.Apply({0}, absl::MakeSpan(p)), absl::StatusCode::kInvalidArgument,
              "3 values; have 1");
  ExpectError(calibrator.Apply({}, absl::MakeSpan(p)), absl::StatusCode::kInvalidArgument, "have 0");
  ExpectError(calibrator.Apply({0, 1, 2}, absl::MakeSpan(two)), absl::StatusCode::kInvalidArgument, "has 2");
}

TEST(CalibratorTest, CreateRejectsBadSpecs) {
  struct Case {
    CalibratorSpec spec;
    std::string part;
  };
  const double nan = kNan, infinity = kInfinity;
  const std::vector<Case> cases = {
      {{kNone, 1, {}}, "classes"},
      {{kNone, 2, {{"temperature", {1}}}}, "no parameter temperature"},
      {{kTemperature, 2, {}}, "temperature is missing"},
      {{kTemperature, 2, {{"temperature", {1, 2}}}}, "must have 1 values; has 2"},
      {{kTemperature, 2, {{"temperature", {}}}}, "must have 1 values; has 0"},
      {{kTemperature, 2, {{"temperature", {nan}}}}, "temperature[0] must be finite"},
      {{kTemperature, 2, {{"temperature", {infinity}}}}, "temperature[0] must be finite"},
      {{kTemperature, 2, {{"temperature", {0}}}}, "[1e-6, 1e6]; was 0"},
      {{kTemperature, 2, {{"temperature", {-1}}}}, "[1e-6, 1e6]; was -1"},
      {{kTemperature, 2, {{"temperature", {1e7}}}}, "[1e-6, 1e6]"},
      {{kTemperature, 2, {{"temperature", {1}}, {"temperature", {1}}}}, "no parameter temperature"},
      {{kTemperature, 2, {{"temperature", {1}}, {"epsilon", {1}}}}, "[0, 1); was 1"},
      {{kTemperature, 2, {{"temperature", {1}}, {"epsilon", {-0.1}}}}, "[0, 1)"},
      {{kTemperature, 2, {{"temperature", {1}}, {"slope", {1}}}}, "no parameter slope"},
      {{kPlatt, 3, {{"slope", {1}}, {"offset", {1}}}}, "platt needs 2 classes; was 3"},
      {{kPlatt, 2, {{"slope", {1}}}}, "offset is missing"},
      {{kPlattOneVsRest, 3, {{"slope", {1, 2, 3}}, {"offset", {1, 2}}}}, "offset must have 3 values; has 2"},
      {{kPlattOneVsRest, 3, {{"slope", {1, nan, 3}}, {"offset", {1, 2, 3}}}},
       "slope[1] must be finite; was nan"},
      {{static_cast<CalibrationMethod>(99), 2, {}}, "99"},
  };
  for (const Case& c : cases)
    ExpectError(Calibrator::Create(c.spec), absl::StatusCode::kInvalidArgument, c.part);
}

TEST(CalibratorTest, KeepsItsSpec) {
  const CalibratorSpec spec = {kTemperature, 5, {{"temperature", {1.25}}, {"epsilon", {0.001}}}};
  EXPECT_EQ(Create(spec).spec(), spec);
  EXPECT_EQ(Create(spec).classes(), 5);
}

}  // namespace
}  // namespace calserve
