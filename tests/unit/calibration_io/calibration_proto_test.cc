#include "calibration_io/calibration_proto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibration/method.h"
#include "tests/unit/calibration_io/report_values.h"

namespace calserve {
namespace {

TEST(CalibrationProtoTest, KeepsEveryFieldOfAReport) {
  const FitReport report = SomeFitReport();
  ExpectSameReport(FitReportFromProto(FitReportToProto(report)), report);
  ExpectSameReport(FitReportFromProto(FitReportToProto(FitReport())), FitReport());
}

TEST(CalibrationProtoTest, KeepsEveryFieldOfTheDetails) {
  EXPECT_EQ(DetailsFromProto(DetailsToProto(SomeDetails())), SomeDetails());
  EXPECT_EQ(DetailsFromProto(DetailsToProto(DetailedMetrics())), DetailedMetrics());
}

TEST(CalibrationProtoTest, KeepsWhatIsUnsetUnset) {
  const v1::CalibrationMetrics proto = MetricsToProto(CalibrationMetrics());
  EXPECT_FALSE(proto.has_nll());
  EXPECT_FALSE(proto.has_ece_low());
  EXPECT_FALSE(FitReportToProto(FitReport()).has_cross_validated());
}

TEST(CalibrationProtoTest, KeepsASpec) {
  const CalibratorSpec spec{CalibrationMethod::kPlattOneVsRest,
                            3,
                            {{"slope", {-1, -2, -3}}, {"offset", {0.1, 0, 4}}},
                            {{ConformalScore::kThr, 0.1, 0.9, 500}, {ConformalScore::kAps, 0.1, 0.97, 500}}};
  v1::Calibrator proto;
  SpecToProto(spec, &proto);
  EXPECT_EQ(proto.method(), "platt_one_vs_rest");
  EXPECT_EQ(*SpecFromProto(proto, 3), spec);
}

// Wilson, 1927: 8 of 10 lie in 0.490 to 0.943.
TEST(CalibrationProtoTest, BinsHaveWilsonsIntervalWhereTheyHaveRows) {
  const std::vector<float> confidences(10, 0.7f);
  const CalibrationMetrics metrics = *EvaluateTopLabel(confidences, {1, 1, 1, 1, 1, 1, 1, 1, 0, 0});
  const v1::CalibrationMetrics proto = MetricsToProto(metrics);
  for (const v1::ReliabilityBin& bin : proto.bins()) {
    ASSERT_EQ(bin.has_accuracy_low(), bin.count() == 10);
    if (bin.count() == 0) continue;
    EXPECT_NEAR(bin.accuracy_low(), 0.4902, 1e-4);
    EXPECT_NEAR(bin.accuracy_high(), 0.9433, 1e-4);
  }
  CalibrationMetrics decayed = metrics;
  decayed.n_effective = 5;
  const int bin = BinIndex(0.7f, kDefaultBins);
  EXPECT_LT(MetricsToProto(decayed).bins(bin).accuracy_low(), 0.4) << "half as many effective rows";
}

TEST(CalibrationProtoTest, EveryMethodHasAValueOfItsOwn) {
  for (const Method& method : AllMethods()) {
    const v1::CalibrationMethod proto = MethodToProto(method.id);
    EXPECT_NE(proto, v1::CALIBRATION_METHOD_UNSPECIFIED) << method.name;
    const absl::StatusOr<CalibrationMethod> back = MethodFromProto(proto);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, method.id);
  }
  EXPECT_EQ(MethodToProto(CalibrationMethod::kAuto), v1::CALIBRATION_METHOD_AUTO);
  EXPECT_EQ(*MethodFromProto(v1::CALIBRATION_METHOD_AUTO), CalibrationMethod::kAuto);
  for (const int value : {0, 99}) {
    EXPECT_TRUE(absl::IsInvalidArgument(MethodFromProto(static_cast<v1::CalibrationMethod>(value)).status()));
  }
}

TEST(CalibrationProtoTest, RefusesASpecThatNoCalibratorHas) {
  v1::Calibrator proto;
  SpecToProto({CalibrationMethod::kPlattOneVsRest, 3, {{"slope", {-1, -2, -3}}, {"offset", {0, 0, 0}}}},
              &proto);
  EXPECT_TRUE(absl::IsInvalidArgument(SpecFromProto(proto, 4).status()));
  proto.set_method("magic");
  EXPECT_TRUE(absl::IsInvalidArgument(SpecFromProto(proto, 3).status()));
}

}  // namespace
}  // namespace calserve
