// Every method held against other packages: tests/oracles/methods.json, made by make_method_oracles.py.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "calibration/fit.h"
#include "nlohmann/json.hpp"

namespace calserve {
namespace {

using nlohmann::json;
using enum CalibrationMethod;

const json& Oracles() {
  static const json document =
      json::parse(std::ifstream(std::string(CALSERVE_SOURCE_DIR) + "/tests/oracles/methods.json"));
  return document;
}

const json& Cases(const std::string& method) { return Oracles()["cases"][method]; }

// Fits, and holds the likelihood and the first row's probabilities against the case.
FitResult FitAndCompare(CalibrationMethod method, const json& c) {
  const json& data = Oracles()["data"][c["data"].get<std::string>()];
  const std::vector<double> logits = data["logits"].get<std::vector<double>>();
  const int classes = data["classes"];
  const absl::StatusOr<FitResult> fit =
      FitCalibrator(method, LogitsView(absl::MakeConstSpan(logits), classes),
                    data["labels"].get<std::vector<int32_t>>(), {.folds = 0});
  EXPECT_TRUE(fit.ok()) << fit.status();
  if (!fit.ok()) return {};
  EXPECT_TRUE(fit->report.converged);
  EXPECT_NEAR(*fit->report.after.nll, c["nll_after"], 1e-7);
  std::vector<float> p(classes);
  EXPECT_TRUE(Calibrator::Create(fit->spec)
                  .value()
                  .ApplyFloat64(absl::MakeConstSpan(logits).first(classes), absl::MakeSpan(p))
                  .ok());
  for (int k = 0; k < classes; ++k) EXPECT_NEAR(p[k], c["first_row"][k], 1e-6) << k;
  return *fit;
}

void ExpectParameter(const CalibratorSpec& spec, const std::string& name, const std::vector<double>& expected,
                     double tolerance) {
  for (const CalibratorSpec::Parameter& parameter : spec.parameters) {
    if (parameter.name != name) continue;
    ASSERT_EQ(parameter.values.size(), expected.size()) << name;
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(parameter.values[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i])))
          << name << "[" << i << "]";
    }
    return;
  }
  FAIL() << name << " is missing";
}

TEST(MethodOracleTest, AdaptiveTemperatureIsScipysMinimum) {
  for (const json& c : Cases("adaptive_temperature")) {
    const FitResult fit = FitAndCompare(kAdaptiveTemperature, c);
    ExpectParameter(fit.spec, "coefficients", c["coefficients"], 1e-6);
  }
}

// The weights are compared loosely: near the minimum the likelihood hardly moves with them.
TEST(MethodOracleTest, EnsembleTemperatureIsScipysMinimumOnTheSimplex) {
  for (const json& c : Cases("ensemble_temperature")) {
    const FitResult fit = FitAndCompare(kEnsembleTemperature, c);
    ExpectParameter(fit.spec, "temperature", {c["temperature"].get<double>()}, 1e-9);
    ExpectParameter(fit.spec, "weights", c["weights"], 1e-4);
  }
}

TEST(MethodOracleTest, BetaIsTheMaximumThatBetacalStopsShortOf) {
  ASSERT_EQ(Cases("beta").size(), 3u);
  for (const json& c : Cases("beta")) {
    const FitResult fit = FitAndCompare(kBeta, c);
    for (const char* name : {"a", "b", "c"}) ExpectParameter(fit.spec, name, {c[name].get<double>()}, 1e-7);
  }
  EXPECT_EQ(Cases("beta")[1]["a"], 0) << "the case needs a coefficient that is refitted without";
}

TEST(MethodOracleTest, BetaOneVsRestIsScipysMaximumOfEachClass) {
  for (const json& c : Cases("beta_one_vs_rest")) {
    const FitResult fit = FitAndCompare(kBetaOneVsRest, c);
    for (const char* name : {"a", "b", "c"}) ExpectParameter(fit.spec, name, c[name], 1e-6);
  }
}

TEST(MethodOracleTest, VectorScalingIsTheMinimumOfProbmetricsObjective) {
  for (const json& c : Cases("vector_scaling")) {
    const FitResult fit = FitAndCompare(kVectorScaling, c);
    ExpectParameter(fit.spec, "scale", c["scale"], 1e-6);
    ExpectParameter(fit.spec, "offset", c["offset"], 1e-6);
  }
}

TEST(MethodOracleTest, IsotonicIsScikitLearnsAlsoBetweenAndBeyondTheKnots) {
  for (const json& c : Cases("isotonic")) {
    const FitResult fit = FitAndCompare(kIsotonic, c);
    const Calibrator calibrator = Calibrator::Create(fit.spec).value();
    const std::vector<double> scores = c["test_scores"];
    std::vector<float> p(2);
    for (size_t i = 0; i < scores.size(); ++i) {
      ASSERT_TRUE(calibrator.ApplyFloat64({0, scores[i]}, absl::MakeSpan(p)).ok());
      EXPECT_NEAR(p[1], c["test"][i], 1e-6) << scores[i];
    }
  }
}

TEST(MethodOracleTest, IsotonicOneVsRestIsScikitLearnsOfEachClass) {
  for (const json& c : Cases("isotonic_one_vs_rest")) FitAndCompare(kIsotonicOneVsRest, c);
}

TEST(MethodOracleTest, TopLabelIsotonicIsScikitLearnsOfTheConfidence) {
  for (const json& c : Cases("top_label_isotonic")) FitAndCompare(kTopLabelIsotonic, c);
}

TEST(MethodOracleTest, HistogramIsNetcalsClippedAwayFromZeroAndOne) {
  for (const json& c : Cases("histogram")) FitAndCompare(kHistogram, c);
}

TEST(MethodOracleTest, ScalingBinningIsUncertaintyCalibrationsOnSmoothedPlatt) {
  for (const json& c : Cases("scaling_binning")) {
    const FitResult fit = FitAndCompare(kScalingBinning, c);
    ExpectParameter(fit.spec, "slope", {c["slope"].get<double>()}, 1e-8);
    ExpectParameter(fit.spec, "edge", c["edges"], 1e-8);
  }
}

}  // namespace
}  // namespace calserve
