// The metrics held against other packages and against brute force: tests/oracles/metrics.json, made by
// make_oracles.py there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <string>

#include "calibration/metrics/auroc.h"
#include "calibration/metrics/binned_errors.h"
#include "calibration/metrics/cumulative_tests.h"
#include "calibration/metrics/debiased_test.h"
#include "calibration/metrics/detailed_metrics.h"
#include "calibration/metrics/smooth_ece.h"
#include "calibration/metrics/spiegelhalter.h"
#include "tests/unit/calibration/oracle_file.h"

namespace calserve {
namespace {

using nlohmann::json;

std::map<std::string, double> Measure(const json& c) {
  const auto groups =
      *GroupByConfidence(c["confidence"].get<std::vector<float>>(), c["correct"].get<std::vector<uint8_t>>());
  const auto equal_mass = EqualMassBins(groups, 15);
  const EceSweep sweep = SweepCalibrationError(groups);
  const CalibrationTestResult ks = KolmogorovSmirnovTest(groups), kuiper = KuiperTest(groups),
                              spiegelhalter = SpiegelhalterTest(groups);
  const int test_bins = DebiasedTestBins(CountRows(groups));
  const CalibrationTestResult debiased = DebiasedCalibrationTest(groups, test_bins);
  return {{"adaptive_ece", ExpectedCalibrationError(equal_mass)},
          {"rms", RmsCalibrationError(EqualWidthBins(groups, 15))},
          {"debiased_l2", DebiasedL2(equal_mass).value},
          {"ece_sweep", sweep.value},
          {"ece_sweep_bins", sweep.bins},
          {"smooth_ece", SmoothEce(groups)},
          {"smooth_ece_at_0.05", SmoothEceAt(groups, 0.05)},
          {"ks", *ks.statistic},
          {"ks_p", ks.p_value},
          {"kuiper", *kuiper.statistic},
          {"kuiper_p", kuiper.p_value},
          {"spiegelhalter", *spiegelhalter.statistic},
          {"spiegelhalter_p", spiegelhalter.p_value},
          {"auroc", ConfidenceAuroc(groups)->value},
          {"debiased_test", *debiased.statistic},
          {"debiased_test_bins", test_bins},
          {"debiased_test_p", debiased.p_value}};
}

TEST(MetricOracleTest, TopLabelMetricsAreThoseOfTheDefinition) {
  const json cases = LoadOracle("metrics")["top_label"];
  ASSERT_GE(cases.size(), 7u);
  for (const json& c : cases) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const std::map<std::string, double> found = Measure(c);
    for (const auto& [key, value] : c["expected"].items()) {
      if (key == "auroc_standard_error") continue;
      ASSERT_TRUE(found.contains(key)) << key;
      const double tolerance = key == "debiased_test_p" ? 0.04 : 1e-9;  // a simulation of 20,000 draws there
      EXPECT_NEAR(found.at(key), value.get<double>(), tolerance) << key;
    }
  }
}

TEST(MetricOracleTest, PackagesAgreeWhereTheyAreRight) {
  std::map<std::string, std::set<std::string>> agreed;
  const json cases = LoadOracle("metrics")["top_label"];
  for (const json& c : cases) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const std::map<std::string, double> found = Measure(c);
    for (const auto& [package, keys] : c["agreeing"].items()) {
      for (const json& key : keys) {
        EXPECT_NEAR(found.at(key), c["others"][package][key.get<std::string>()], 1e-6)
            << package << " " << key;
        agreed[package].insert(key);
      }
    }
  }
  using ::testing::IsSupersetOf;
  EXPECT_THAT(agreed["MAPIE"], IsSupersetOf({"ks", "ks_p", "kuiper", "kuiper_p", "spiegelhalter"}));
  EXPECT_TRUE(agreed["uncertainty-calibration"].contains("adaptive_ece"));
  EXPECT_TRUE(agreed["netcal"].contains("adaptive_ece"));
  EXPECT_TRUE(agreed["torchmetrics"].contains("rms"));
  EXPECT_TRUE(agreed["scikit-learn"].contains("auroc"));
}

// docs/metrics.md lists these; each time the value of ours is the brute-force one of the test above.
TEST(MetricOracleTest, PackagesDifferWhereTheyDepartFromTheDefinition) {
  std::set<std::string> differing;
  const json cases = LoadOracle("metrics")["top_label"];
  for (const json& c : cases) {
    for (const auto& [package, values] : c["others"].items()) {
      for (const auto& [key, value] : values.items()) {
        if (std::abs(value.get<double>() - c["expected"][key].get<double>()) > 1e-6) {
          differing.insert(package + " " + key);
        }
      }
    }
  }
  EXPECT_EQ(differing, (std::set<std::string>{"MAPIE kuiper", "MAPIE kuiper_p", "MAPIE spiegelhalter_p",
                                              "netcal adaptive_ece", "relplot smooth_ece",
                                              "relplot smooth_ece_at_0.05", "torchmetrics rms"}));
}

TEST(MetricOracleTest, TheIntervalOfTheAurocIsDeLongs) {
  const json cases = LoadOracle("metrics")["top_label"];
  int with_interval = 0;
  for (const json& c : cases) {
    const json& error = c["expected"]["auroc_standard_error"];
    const Estimate found = *ConfidenceAuroc(*GroupByConfidence(c["confidence"].get<std::vector<float>>(),
                                                               c["correct"].get<std::vector<uint8_t>>()));
    if (error.is_null() || error == 0.0) {
      EXPECT_FALSE(found.low.has_value()) << c["name"];
      continue;
    }
    EXPECT_NEAR(found.value - *found.low, kNormalQuantile * error.get<double>(), 1e-9) << c["name"];
    ++with_interval;
  }
  EXPECT_GE(with_interval, 5);
}

TEST(MetricOracleTest, MetricsOfEveryClassAgree) {
  const json cases = LoadOracle("metrics")["many_classes"];
  for (const json& c : cases) {
    const int classes = c["classes"];
    SCOPED_TRACE(classes);
    const auto logits = c["logits"].get<std::vector<double>>();
    const auto labels = c["labels"].get<std::vector<int32_t>>();
    const DetailedMetrics found = *EvaluateDetailed(Calibrator::None(classes),
                                                    LogitsView(absl::MakeConstSpan(logits), classes), labels);
    EXPECT_NEAR(*found.classwise_ece, c["classwise_ece"], 1e-6);
    EXPECT_NEAR(*found.classwise_ece_thresholded, c["classwise_ece_thresholded"], 1e-6);
    EXPECT_NEAR(found.nll->value, c["nll"], 1e-6);
    EXPECT_NEAR(found.brier->value, c["brier"], 1e-6);
    EXPECT_NEAR(found.brier_parts->calibration, c["brier_parts"]["calibration"], 1e-6);
    EXPECT_NEAR(found.brier_parts->refinement, c["brier_parts"]["refinement"], 1e-6);
    EXPECT_NEAR(found.brier_parts->uncertainty, c["brier_parts"]["uncertainty"], 1e-12);
  }
}

TEST(MetricOracleTest, TailsOfBrownianMotionAgreeWithMapie) {
  const json tails = LoadOracle("metrics")["tails"];
  for (const json& c : tails) {
    EXPECT_NEAR(BrownianMaximumTail(c["x"]), c["maximum"], 1e-12) << c["x"];
    EXPECT_NEAR(BrownianRangeTail(c["x"]), c["range"], 1e-12) << c["x"];
  }
}

}  // namespace
}  // namespace calserve
