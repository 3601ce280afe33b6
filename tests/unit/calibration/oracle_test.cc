// The library held against other packages: values and versions in tests/oracles, made by make_oracles.py
// there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "calibration/fit.h"
#include "calibration/metrics.h"
#include "calibration/platt_fit.h"
#include "calibration/softmax.h"
#include "tests/unit/calibration/oracle_file.h"
#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

using nlohmann::json;

std::vector<double> Doubles(const json& values) { return values.get<std::vector<double>>(); }

// ECE and MCE of scikit-learn's bins, with which torchmetrics and netcal agree where the case says so.
TEST(OracleTest, ReliabilityAgreesWithScikitLearnTorchmetricsAndNetcal) {
  const json cases = LoadOracle("reliability")["cases"];
  ASSERT_GE(cases.size(), 10u);
  for (const json& c : cases) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const absl::StatusOr<CalibrationMetrics> m = EvaluateTopLabel(
        c["confidence"].get<std::vector<float>>(), c["correct"].get<std::vector<uint8_t>>(), c["bins"]);
    ASSERT_TRUE(m.ok()) << m.status();
    EXPECT_NEAR(m->ece, c["ece"], 1e-12);
    EXPECT_NEAR(m->mce, c["mce"], 1e-12);
    for (const json& package : c["agreeing"]) {
      EXPECT_NEAR(m->ece, c["others"][package.get<std::string>()][0], 1e-6) << package;
      EXPECT_NEAR(m->mce, c["others"][package.get<std::string>()][1], 1e-6) << package;
    }
    if (c.contains("quoted")) {
      EXPECT_NEAR(m->ece, c["quoted"]["ece"], 1e-4);
    }
    const std::vector<double> accuracy = Doubles(c["bin_accuracy"]),
                              confidence = Doubles(c["bin_confidence"]);
    size_t next = 0;
    for (const ReliabilityBin& bin : m->bins) {
      if (bin.count == 0) continue;
      ASSERT_LT(next, accuracy.size());
      EXPECT_NEAR(bin.accuracy, accuracy[next], 1e-12);
      EXPECT_NEAR(bin.confidence, confidence[next], 1e-12);
      ++next;
    }
    EXPECT_EQ(next, accuracy.size());
  }
}

// torchmetrics gives a confidence of 1 a bin of its own; netcal and torchmetrics close bins on the left.
TEST(OracleTest, ReliabilityDiffersWhereOthersDepartFromTheDefinition) {
  int differing = 0;
  const json cases = LoadOracle("reliability")["cases"];
  for (const json& c : cases) {
    for (const auto& [package, values] : c["others"].items()) {
      const std::vector<std::string> agreeing = c["agreeing"].get<std::vector<std::string>>();
      if (std::find(agreeing.begin(), agreeing.end(), package) != agreeing.end()) continue;
      const bool same = std::abs(values[0].get<double>() - c["ece"].get<double>()) < 1e-6 &&
                        std::abs(values[1].get<double>() - c["mce"].get<double>()) < 1e-6;
      EXPECT_FALSE(same) << c["name"] << " " << package;
      ++differing;
    }
  }
  EXPECT_GE(differing, 3);
}

TEST(OracleTest, NumpyLinspaceWouldPutSomeEdgesElsewhere) {
  const json edges = LoadOracle("reliability")["linspace_differs_at"];
  ASSERT_FALSE(edges.empty());
  for (const json& edge : edges) {
    const int j = edge[0], bins = edge[1];
    EXPECT_EQ(BinIndex(static_cast<double>(j) / bins, bins), j - 1);
  }
}

TEST(OracleTest, TemperatureIsTheExactMinimum) {
  const json cases = LoadOracle("temperature")["cases"];
  ASSERT_GE(cases.size(), 5u);
  for (const json& c : cases) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const std::vector<double> logits = Doubles(c["logits"]);
    const std::vector<int32_t> labels = c["labels"].get<std::vector<int32_t>>();
    FitOptions options;
    options.min_rows = 1;
    const absl::StatusOr<FitResult> fit =
        FitCalibrator(CalibrationMethod::kTemperature, LogitsView(absl::MakeConstSpan(logits), c["classes"]),
                      labels, options);
    ASSERT_TRUE(fit.ok()) << fit.status();
    const double temperature = fit->spec.parameters[0].values[0];
    EXPECT_NEAR(temperature / c["temperature"].get<double>(), 1, 1e-9);
    EXPECT_NEAR(temperature / c["others"]["scikit-learn"].get<double>(), 1, 1e-5);
    if (c.contains("quoted")) {
      EXPECT_NEAR(temperature / c["quoted"]["temperature"].get<double>(), 1, 1e-6);
    }
    EXPECT_NEAR(*fit->report.before.nll, c["nll_before"], 1e-6);
    EXPECT_NEAR(*fit->report.after.nll, c["nll_after"], 1e-6);
    EXPECT_FALSE(fit->report.at_bound);
  }
}

TEST(OracleTest, PlattAgreesWithScikitLearnAndLibsvm) {
  const json cases = LoadOracle("platt")["cases"];
  ASSERT_GE(cases.size(), 5u);
  for (const json& c : cases) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const PlattFit fit = FitPlatt(Doubles(c["scores"]), c["positive"].get<std::vector<uint8_t>>());
    EXPECT_TRUE(fit.converged);
    const double slope = c["slope"], offset = c["offset"];
    EXPECT_NEAR(fit.slope / slope, 1, 1e-9);
    EXPECT_NEAR(fit.offset, offset, 1e-9);
    EXPECT_NEAR(fit.slope / c["others"]["scikit-learn"][0].get<double>(), 1, 1e-3);
    EXPECT_NEAR(fit.offset, c["others"]["scikit-learn"][1], 1e-3);
    if (c.contains("quoted") && c["quoted"].contains("libsvm")) {
      EXPECT_NEAR(fit.slope, c["quoted"]["libsvm"][0], 1e-3);
      EXPECT_NEAR(fit.offset, c["quoted"]["libsvm"][1], 1e-3);
    }
  }
}

TEST(OracleTest, OneVsRestAgreesWithScikitLearnsFitsOfEachClass) {
  const json c = LoadOracle("platt")["one_vs_rest"];
  const std::vector<double> logits = Doubles(c["logits"]);
  const std::vector<int32_t> labels = c["labels"].get<std::vector<int32_t>>();
  const absl::StatusOr<FitResult> fit = FitCalibrator(
      CalibrationMethod::kPlattOneVsRest, LogitsView(absl::MakeConstSpan(logits), c["classes"]), labels);
  ASSERT_TRUE(fit.ok()) << fit.status();
  EXPECT_TRUE(fit->report.converged);
  for (size_t k = 0; k < 4; ++k) {
    EXPECT_NEAR(fit->spec.parameters[0].values[k], c["slope"][k], 1e-9);
    EXPECT_NEAR(fit->spec.parameters[1].values[k], c["offset"][k], 1e-9);
  }
  EXPECT_NEAR(*fit->report.after.nll, c["nll_after"], 1e-6);
  const absl::StatusOr<Calibrator> calibrator = Calibrator::Create(fit->spec);
  ASSERT_TRUE(calibrator.ok());
  std::vector<float> p(4);
  ASSERT_TRUE(calibrator->ApplyFloat64(absl::MakeConstSpan(logits).subspan(0, 4), absl::MakeSpan(p)).ok());
  for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(p[k], c["first_row"][k], 1e-7);
}

TEST(OracleTest, NllAndBrierAgreeWithScikitLearn) {
  const json cases = LoadOracle("scores")["cases"];
  ASSERT_FALSE(cases.empty());
  for (const json& c : cases) {
    const std::vector<double> logits = Doubles(c["logits"]);
    const int classes = c["classes"];
    const absl::StatusOr<CalibrationMetrics> m =
        Evaluate(Calibrator::None(classes), LogitsView(absl::MakeConstSpan(logits), classes),
                 c["labels"].get<std::vector<int32_t>>());
    ASSERT_TRUE(m.ok()) << m.status();
    EXPECT_NEAR(*m->nll, c["nll"], 1e-6);
    EXPECT_NEAR(*m->brier, c["brier"], 1e-6);
    EXPECT_NEAR(m->accuracy, c["accuracy"], 1e-12);
    EXPECT_NEAR(m->mean_confidence, c["mean_confidence"], 1e-7);
    std::vector<double> row(logits.begin(), logits.begin() + classes), log_row = row;
    SoftmaxInPlace(1, absl::MakeSpan(row));
    LogSoftmaxInPlace(absl::MakeSpan(log_row));
    for (int k = 0; k < classes; ++k) {
      EXPECT_NEAR(row[k], c["softmax_first_row"][k], 1e-15);
      EXPECT_NEAR(log_row[k], c["log_softmax_first_row"][k], 1e-14);
    }
  }
}

}  // namespace
}  // namespace calserve
