#include "server/rpc/report_mask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/error_info.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<ReportMask> Mask(std::vector<std::string> paths) {
  google::protobuf::FieldMask mask;
  for (std::string& path : paths) mask.add_paths(std::move(path));
  return ReportMask::FromProto(mask);
}

v1::WindowReport Full() {
  v1::WindowReport report;
  report.set_model("pets");
  report.set_window("last_1000");
  report.mutable_as_of()->set_position(7);
  report.mutable_slice()->set_key("camera");
  report.set_shadow(true);
  report.set_shadow_after_position(3);
  report.mutable_served()->set_ece(0.1);
  report.mutable_served()->set_n(50);
  report.mutable_served()->add_bins()->set_count(3);
  report.mutable_uncalibrated()->set_ece(0.2);
  report.mutable_alarm()->set_labels(5);
  return report;
}

v1::WindowReport Trimmed(const ReportMask& mask) {
  v1::WindowReport report = Full();
  mask.Trim(report);
  return report;
}

TEST(ReportMaskTest, AnEmptyOneLeavesEverything) {
  const absl::StatusOr<ReportMask> mask = Mask({});
  ASSERT_TRUE(mask.ok());
  EXPECT_FALSE(mask->names_fields());
  EXPECT_EQ(Trimmed(*mask).DebugString(), Full().DebugString());
}

TEST(ReportMaskTest, KeepsWhatIsNamedAndWhatSaysWhatItIsOf) {
  const absl::StatusOr<ReportMask> mask = Mask({"served.ece", "alarm"});
  ASSERT_TRUE(mask.ok()) << mask.status();
  v1::WindowReport expected;
  expected.set_model("pets");
  expected.set_window("last_1000");
  expected.mutable_as_of()->set_position(7);
  expected.mutable_slice()->set_key("camera");
  expected.set_shadow(true);
  expected.set_shadow_after_position(3);
  expected.mutable_served()->set_ece(0.1);
  expected.mutable_alarm()->set_labels(5);
  EXPECT_EQ(Trimmed(*mask).DebugString(), expected.DebugString());
}

TEST(ReportMaskTest, KeepsARepeatedFieldAsAWhole) {
  EXPECT_EQ(Trimmed(*Mask({"served.bins"})).served().bins(0).count(), 3);
  EXPECT_EQ(Trimmed(*Mask({"served.bins"})).served().n(), 0);
}

TEST(ReportMaskTest, AnUnknownPathIsAnErrorThatListsTheKnown) {
  for (const auto& [path, part] : {std::pair("ece", "the fields of WindowReport are model, model_version"),
                                   {"served.ecee", "the fields of CalibrationMetrics are n, accuracy"},
                                   {"served.bins.count", "bins is given as a whole"},
                                   {"model.name", "model is given as a whole"},
                                   {"", "there is no \"\""}}) {
    const absl::Status status = Mask({"alarm", path}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << path;
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
    EXPECT_EQ(ErrorField(status), "report_mask");
  }
  EXPECT_EQ(Mask(std::vector<std::string>(101, "alarm")).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReportMaskTest, TheIntervalIsComputedOnlyWhereItIsNamed) {
  WindowReport report;
  report.served = report.uncalibrated = *EvaluateTopLabel({0.9f, 0.8f, 0.7f}, {1, 0, 1});
  for (CalibrationMetrics* metrics : {&report.served, &report.uncalibrated}) {
    metrics->ece_low.reset();
    metrics->ece_high.reset();
  }
  WindowReport without = report, with = report;
  Mask({"served", "uncalibrated"})->AddIntervals(without);
  EXPECT_FALSE(without.served.ece_low.has_value());
  Mask({"served.ece_high"})->AddIntervals(with);
  EXPECT_TRUE(with.served.ece_low.has_value());
  EXPECT_FALSE(with.uncalibrated.ece_low.has_value());
}

}  // namespace
}  // namespace calserve
