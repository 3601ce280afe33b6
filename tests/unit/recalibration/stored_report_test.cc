#include "server/recalibration/stored_report.h"

#include "gtest/gtest.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/recalibration/recalibration_testing.h"

namespace calserve {
namespace {

constexpr int kRows = 400;

class StoredReportTest : public ::testing::Test {
 protected:
  StoredReportTest()
      : data_(OverconfidentLogits(kRows, 2)), labels_(ScoredLabels(data_, Served(), kVersion, 1)) {
    EXPECT_TRUE(store_.Append(absl::MakeSpan(labels_), kStart).ok());
  }
  static Calibrator Served() {
    return *Calibrator::Create({CalibrationMethod::kTemperature, kTarget.classes, {{"temperature", {1.5}}}});
  }
  StoredMetrics Measure(int64_t max_rows, const LogSelection& selection = {}, bool detailed = false) {
    return *MeasureStored(
        store_, selection, {.max_rows = max_rows, .detailed = detailed},
        [](const std::string&, int64_t, int64_t) { return std::make_shared<const Calibrator>(Served()); });
  }

  static constexpr int64_t kVersion = 1;
  const LabelledLogits data_;
  std::vector<ScoredLabel> labels_;
  MemoryStore store_;
};

TEST_F(StoredReportTest, TopLabelMetricsAndTheirIntervalAreThoseOfTheConfidences) {
  std::vector<float> confidences;
  std::vector<uint8_t> correct;
  for (const ScoredLabel& label : labels_) {
    confidences.push_back(label.prediction.confidence);
    correct.push_back(label.prediction.predicted_class == label.label ? 1 : 0);
  }
  const CalibrationMetrics expected = *EvaluateTopLabel(confidences, correct, kDefaultBins);
  const StoredMetrics found = Measure(kRows);
  EXPECT_EQ(found.position, kRows);
  EXPECT_EQ(found.served.n, kRows);
  EXPECT_EQ(found.served.accuracy, expected.accuracy);
  EXPECT_EQ(found.served.ece, expected.ece);
  ASSERT_TRUE(expected.ece_low.has_value());
  EXPECT_EQ(found.served.ece_low, expected.ece_low);
  EXPECT_EQ(found.served.ece_high, expected.ece_high);
  EXPECT_GT(found.uncalibrated.ece, found.served.ece);
  EXPECT_NE(found.uncalibrated.ece_low, found.served.ece_low);
}

TEST_F(StoredReportTest, NllAndBrierAreOfTheRowsWithLogits) {
  const StoredMetrics found = Measure(kRows);
  EXPECT_EQ(found.served.n_with_logits, kRows);
  EXPECT_LT(*found.served.nll, *found.uncalibrated.nll) << "served at a temperature nearer the truth";
  std::vector<ScoredLabel> without = {MakeLabel(kRows + 1, 1, kTarget.classes)};
  without[0].prediction.logits_fp16.clear();
  ASSERT_TRUE(store_.Append(absl::MakeSpan(without), kStart).ok());
  EXPECT_EQ(Measure(kRows + 1).served.n, kRows + 1);
  EXPECT_EQ(Measure(kRows + 1).served.n_with_logits, kRows);
  EXPECT_EQ(Measure(1).served.nll, std::nullopt);
}

TEST_F(StoredReportTest, DetailsAreThoseOfTheSameRows) {
  EXPECT_FALSE(Measure(kRows).served_details.has_value());
  const StoredMetrics found = Measure(kRows, {}, true);
  const DetailedMetrics& served = *found.served_details;
  const DetailedMetrics& uncalibrated = *found.uncalibrated_details;
  EXPECT_EQ(served.n, kRows);
  EXPECT_EQ(served.n_with_logits, kRows);
  EXPECT_NEAR(served.accuracy.value, found.served.accuracy, 1e-12);
  EXPECT_NEAR(served.nll->value, *found.served.nll, 1e-6) << "float32 in a window's label";
  EXPECT_NEAR(uncalibrated.brier->value, *found.uncalibrated.brier, 1e-6);
  EXPECT_LT(served.smooth_ece, uncalibrated.smooth_ece);
  EXPECT_LT(*served.classwise_ece, *uncalibrated.classwise_ece);
}

TEST_F(StoredReportTest, RowsWithoutLogitsAreInTheTopLabelDetailsAlone) {
  std::vector<ScoredLabel> without = {MakeLabel(kRows + 1, 1, kTarget.classes)};
  without[0].prediction.logits_fp16.clear();
  ASSERT_TRUE(store_.Append(absl::MakeSpan(without), kStart).ok());
  const StoredMetrics found = Measure(kRows + 1, {}, true);
  EXPECT_EQ(found.served_details->n, kRows + 1);
  EXPECT_EQ(found.served_details->n_with_logits, kRows);
}

TEST_F(StoredReportTest, OfNoRowsIsEmpty) {
  const StoredMetrics found = Measure(kRows, {.model = "none"});
  EXPECT_EQ(found.position, 0);
  EXPECT_EQ(found.served.n, 0);
  EXPECT_FALSE(found.served.ece_low.has_value());
}

TEST_F(StoredReportTest, AShadowIsScoredAsIfItHadServed) {
  StoredMetricsOptions options{.max_rows = kRows};
  options.shadow = std::make_shared<const Calibrator>(
      *Calibrator::Create({CalibrationMethod::kTemperature, kTarget.classes, {{"temperature", {2.0}}}}));
  const StoredMetrics shadow = *MeasureStored(store_, {}, options, [](const std::string&, int64_t, int64_t) {
    return std::make_shared<const Calibrator>(Served());
  });
  const StoredMetrics served = Measure(kRows);
  EXPECT_EQ(shadow.served.n, kRows);
  EXPECT_LT(*shadow.served.nll, *served.served.nll) << "labels were drawn at a temperature of 2";
  EXPECT_DOUBLE_EQ(*shadow.uncalibrated.nll, *served.uncalibrated.nll);
}

TEST_F(StoredReportTest, AReportThatNobodyWaitsForEnds) {
  int asked = 0;
  StoredMetricsOptions options{.max_rows = kRows, .detailed = true};
  options.go_on = [&] { return ++asked < 5; };
  const auto found = [](const std::string&, int64_t, int64_t) {
    return std::make_shared<const Calibrator>(Served());
  };
  EXPECT_EQ(MeasureStored(store_, {}, options, found).status().code(), absl::StatusCode::kCancelled);
  EXPECT_LE(asked, 8) << "it ends within a step or two";
}

}  // namespace
}  // namespace calserve
