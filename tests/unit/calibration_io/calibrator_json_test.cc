#include "calibration_io/calibrator_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "calibration/method.h"
#include "calibration_io/file.h"
#include "calibration_io/json_values.h"
#include "tests/unit/calibration_io/report_values.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const CalibratorSpec kTemperature{CalibrationMethod::kTemperature, 10, {{"temperature", {2.1 / 3}}}};
const CalibratorSpec kOneVsRest{
    CalibrationMethod::kPlattOneVsRest, 2, {{"slope", {-1.1 / 3, -2}}, {"offset", {1e-17, 1e300}}}};

const CalibratorSpec kWithSets{
    CalibrationMethod::kTemperature,
    10,
    {{"temperature", {2.1 / 3}}},
    {{ConformalScore::kThr, 0.1, 1.0 / 3, 500}, {ConformalScore::kAps, 0.1, 0.97, 500}}};

std::string Error(const std::string& json) {
  const absl::StatusOr<CalibratorDocument> document = CalibratorFromJson(json);
  EXPECT_TRUE(absl::IsInvalidArgument(document.status())) << document.status();
  return std::string(document.status().message());
}

TEST(CalibratorJsonTest, RoundTripsToTheLastBit) {
  for (const CalibratorSpec& spec : {CalibratorSpec{}, kTemperature, kOneVsRest, kWithSets}) {
    const std::string text = CalibratorToJson({spec, SomeFitReport()});
    const absl::StatusOr<CalibratorDocument> document = CalibratorFromJson(text);
    ASSERT_TRUE(document.ok()) << document.status();
    EXPECT_EQ(document->spec, spec);
    ExpectSameReport(*document->report, SomeFitReport());
    EXPECT_EQ(CalibratorToJson(*document), text);
  }
}

TEST(CalibratorJsonTest, BadSetThresholdsAreNamed) {
  const std::string text = CalibratorToJson({kWithSets, {}});
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    const size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return changed.replace(at, from.size(), to);
  };
  EXPECT_THAT(Error(with("\"APS\"", "\"RAPS\"")),
              HasSubstr("set_thresholds[1].method must be \"THR\" or \"APS\""));
  EXPECT_THAT(Error(with("\"APS\"", "\"THR\"")), HasSubstr("there twice"));
  EXPECT_THAT(Error(with("\"alpha\": 0.1", "\"alpha\": 1.5")), HasSubstr("alpha must be in (0, 1)"));
  EXPECT_THAT(Error(with("\"n\"", "\"m\"")), HasSubstr("set_thresholds[0]"));
}

TEST(CalibratorJsonTest, RoundTripsWhatEveryMethodFits) {
  for (const Method& method : AllMethods()) {
    const int classes = method.two_classes_only ? 2 : 3;
    std::vector<float> logits;
    std::vector<int32_t> labels;
    for (int i = 0; i < 60; ++i) {
      for (int k = 0; k < classes; ++k)
        logits.push_back(static_cast<float>((i * 7 + k * k * 5 + i * k) % 11));
      labels.push_back(i * 3 % 7 % classes);
    }
    const absl::StatusOr<FitResult> fit =
        FitCalibrator(method.id, LogitsView(absl::MakeConstSpan(logits), classes), labels);
    ASSERT_TRUE(fit.ok()) << method.name << ": " << fit.status();
    const std::string text = CalibratorToJson({fit->spec, fit->report});
    const absl::StatusOr<CalibratorDocument> document = CalibratorFromJson(text);
    ASSERT_TRUE(document.ok()) << method.name << ": " << document.status();
    EXPECT_EQ(document->spec, fit->spec);
    EXPECT_EQ(CalibratorToJson(*document), text);
  }
}

TEST(CalibratorJsonTest, TakesAReportOfBeforeComparisons) {
  std::string text = CalibratorToJson({kTemperature, SomeFitReport()});
  const size_t start = text.find(",\n    \"holdout\"");
  ASSERT_NE(start, std::string::npos) << text;
  text.replace(start, std::string::npos, "\n  }\n}\n");
  const absl::StatusOr<CalibratorDocument> document = CalibratorFromJson(text);
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_TRUE(document->report->comparison.empty());
  EXPECT_FALSE(document->report->selected_optimistic);
}

TEST(CalibratorJsonTest, NoCalibratorIsAuto) {
  EXPECT_THAT(
      Error(R"({"format": "calserve.calibrator.v1", "method": "auto", "classes": 2, "parameters": {}})"),
      HasSubstr("no calibrator has method auto"));
}

TEST(CalibratorJsonTest, LooksAsDocumented) {
  EXPECT_EQ(
      CalibratorToJson({{CalibrationMethod::kTemperature, 10, {{"temperature", {1.5}}}}, std::nullopt}),
      "{\n  \"format\": \"calserve.calibrator.v1\",\n  \"method\": \"temperature\",\n  \"classes\": 10,\n"
      "  \"parameters\": {\n    \"temperature\": 1.5\n  }\n}\n");
}

TEST(CalibratorJsonTest, TakesAHandWrittenFile) {
  const absl::StatusOr<CalibratorDocument> document = CalibratorFromJson(
      R"({"parameters": {"temperature": [2]}, "classes": 3, "method": "temperature", "format": "calserve.calibrator.v1"})");
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(document->spec.parameters[0].values[0], 2);
  EXPECT_FALSE(document->report.has_value());
}

TEST(CalibratorJsonTest, NamesTheKeyThatIsWrong) {
  const auto with = [](const std::string& rest) {
    return R"({"format": "calserve.calibrator.v1", )" + rest + "}";
  };
  EXPECT_THAT(Error("{"), StartsWith("malformed JSON"));
  EXPECT_THAT(Error("[]"), HasSubstr("must be a JSON object"));
  EXPECT_THAT(Error("{}"), HasSubstr("format is missing"));
  EXPECT_THAT(Error(R"({"format": "v9", "method": "none", "classes": 2, "parameters": {}})"),
              HasSubstr("was \"v9\""));
  EXPECT_THAT(Error(with(R"("method": "magic", "classes": 2, "parameters": {})")), HasSubstr("\"magic\""));
  EXPECT_THAT(Error(with(R"("method": "none", "classes": 1, "parameters": {})")),
              HasSubstr("classes must be at least 2"));
  EXPECT_THAT(Error(with(R"("method": "none", "classes": "2", "parameters": {})")),
              HasSubstr("classes must be an integer"));
  EXPECT_THAT(Error(with(R"("method": "none", "classes": 2, "parameters": {}, "more": 1)")),
              HasSubstr("more is not a known key; known are format, method"));
  EXPECT_THAT(Error(with(R"("method": "none", "classes": 2, "classes": 3, "parameters": {})")),
              HasSubstr("classes must be given once"));
  EXPECT_THAT(Error(with(R"("method": "temperature", "classes": 2, "parameters": {"temperature": "hot"})")),
              HasSubstr("parameters.temperature must be a number"));
  EXPECT_THAT(Error(with(R"("method": "temperature", "classes": 2, "parameters": {"temperature": 1e999})")),
              HasSubstr("JSON"));
  EXPECT_THAT(Error(with(R"("method": "temperature", "classes": 2, "parameters": {"temperature": -1})")),
              HasSubstr("temperature"));
  EXPECT_THAT(Error(with(R"("method": "none", "classes": 2, "parameters": {}, "report": {"n": 1})")),
              HasSubstr("report.converged is missing"));
}

TEST(CalibratorJsonTest, NamesADeepKeyByItsPath) {
  std::string text = CalibratorToJson({kTemperature, SomeFitReport()});
  const size_t lower = text.find("\"lower\"");
  EXPECT_THAT(Error(text.replace(lower, 7, "\"loser\"")),
              HasSubstr("report.before.bins[0].lower is missing"));
}

TEST(CalibratorJsonTest, RefusesDeepNesting) {
  EXPECT_THAT(Error(std::string(100'000, '[')), HasSubstr("JSON"));
}

TEST(CalibratorFileTest, AnErrorNamesTheFile) {
  const std::string path = ::testing::TempDir() + "/calibrator_file_test.json";
  ASSERT_TRUE(WriteWholeFile(path, CalibratorToJson({kOneVsRest, {}})).ok());
  EXPECT_TRUE(ReadCalibratorFile(path, kOneVsRest.classes).ok());
  EXPECT_THAT(ReadCalibratorFile(path, 7).status().message(), HasSubstr(path + " is for "));
  ASSERT_TRUE(WriteWholeFile(path, "{").ok());
  EXPECT_THAT(ReadCalibratorFile(path, 2).status().message(), HasSubstr(path + ": "));
  std::filesystem::remove(path);
  EXPECT_THAT(ReadCalibratorFile(path, 2).status().message(), HasSubstr(path));
  ASSERT_TRUE(WriteWholeFile(path, "").ok());
  std::filesystem::resize_file(path, uintmax_t{1} << 30);  // takes no room on the disk
  EXPECT_EQ(ReadCalibratorFile(path, 2).status().message(), path + " is larger than the limit of 16 MiB");
  std::filesystem::remove(path);
}

TEST(MetricsJsonTest, WritesUnsetAsNull) {
  const auto json = nlohmann::json::parse(MetricsToJson(CalibrationMetrics()));
  for (const char* key : {"n", "accuracy", "mean_confidence", "ece", "noise_floor", "mce", "bins"}) {
    EXPECT_FALSE(json.at(key).is_null()) << key;
  }
  for (const char* key : {"ece_low", "ece_high", "nll", "brier"}) EXPECT_TRUE(json.at(key).is_null()) << key;
  const auto full = nlohmann::json::parse(MetricsToJson(SomeMetrics(0)));
  EXPECT_EQ(full.at("bins").at(1).at("accuracy"), 1e-300);
  EXPECT_EQ(full.at("ece_low"), 0.05 / 3);
}

TEST(FitJsonTest, HasWhatAPipelineAsksFor) {
  const nlohmann::ordered_json json = FitToJsonValue(kOneVsRest, SomeFitReport());
  EXPECT_EQ(json.at("method"), "platt_one_vs_rest");
  EXPECT_EQ(json.at("parameters").at("slope").size(), 2u);
  EXPECT_EQ(json.at("at_bound"), true);
  EXPECT_EQ(json.at("nll_before"), 0.7 / 3 + 1);
  EXPECT_TRUE(json.at("nll_after").is_null());
  EXPECT_EQ(json.at("cross_validated").at("n"), 1003);
  for (const char* key : {"n", "accuracy", "mean_confidence", "ece", "ece_low", "ece_high", "noise_floor",
                          "mce", "nll", "brier", "bins"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json.at("accuracy"), json.at("after").at("accuracy"));
}

}  // namespace
}  // namespace calserve
