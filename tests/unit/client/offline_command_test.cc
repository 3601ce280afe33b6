// `calserve fit` and `calserve report` without a server, as a training pipeline calls them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "calibration_io/file.h"
#include "nlohmann/json.hpp"
#include "tests/unit/client/offline_command_fixture.h"

namespace calserve {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

TEST_F(OfflineCommandTest, FitAgreesWithTheOracle) {
  for (const size_t index : {0, 1, 2}) {
    const json oracle = Oracle(index);
    const Result result = Calserve("fit --method temperature --json" + WriteOracle(oracle));
    ASSERT_EQ(result.exit_code, 0) << result.output;
    const json fit = json::parse(result.output);
    EXPECT_EQ(fit.at("method"), "temperature");
    EXPECT_EQ(fit.at("at_bound"), false);
    EXPECT_NEAR(fit.at("parameters").at("temperature").get<double>() / oracle.at("temperature").get<double>(),
                1, 1e-6);
    EXPECT_NEAR(fit.at("nll_before").get<double>(), oracle.at("nll_before").get<double>(), 1e-6);
    EXPECT_NEAR(fit.at("nll_after").get<double>(), oracle.at("nll_after").get<double>(), 1e-6);
  }
}

TEST_F(OfflineCommandTest, ReportAppliesTheFittedCalibrator) {
  const json oracle = Oracle(0);
  const std::string data = WriteOracle(oracle);
  ASSERT_EQ(Calserve("fit --method temperature --out " + Path("c.json") + data).exit_code, 0);
  const json before = json::parse(Calserve("report --json" + data).output);
  const Result result =
      Calserve("report --json --bins 10 --svg " + Path("r.svg") + " --calibrator " + Path("c.json") + data);
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const json after = json::parse(result.output);
  for (const char* key : {"n", "accuracy", "mean_confidence", "ece", "ece_low", "ece_high", "noise_floor",
                          "mce", "nll", "brier", "bins"}) {
    EXPECT_FALSE(after.at(key).is_null()) << key;
  }
  EXPECT_EQ(after.at("bins").size(), 10u);
  EXPECT_NEAR(before.at("nll").get<double>(), oracle.at("nll_before").get<double>(), 1e-6);
  EXPECT_NEAR(after.at("nll").get<double>(), oracle.at("nll_after").get<double>(), 1e-6);
  EXPECT_EQ(before.at("accuracy"), after.at("accuracy"));
  EXPECT_THAT(*ReadWholeFile(Path("r.svg")), HasSubstr("</svg>"));
}

TEST_F(OfflineCommandTest, DetailsOfSeveralCalibratorsStandSideBySide) {
  const std::string data = WriteOracle(Oracle(0));
  ASSERT_EQ(Calserve("fit --method temperature --out " + Path("t.json") + data).exit_code, 0);
  ASSERT_EQ(Calserve("fit --method platt --out " + Path("p.json") + data).exit_code, 0);
  const std::string both =
      "report --details --calibrator " + Path("t.json") + " --calibrator " + Path("p.json");
  const json report = json::parse(Calserve(both + " --json" + data).output);
  ASSERT_EQ(report.at("calibrators").size(), 2u);
  for (const json& one : report.at("calibrators")) {
    const json& details = one.at("details");
    for (const auto& [key, value] : details.items()) EXPECT_FALSE(value.is_null()) << key;
    EXPECT_NEAR(details.at("nll").at("value").get<double>(), one.at("nll").get<double>(), 1e-12);
    const json& parts = details.at("brier_parts");
    EXPECT_NEAR(parts.at("calibration").get<double>() + parts.at("refinement").get<double>() +
                    parts.at("within_bins").get<double>(),
                details.at("brier").at("value").get<double>(), 1e-12);
  }
  const Result table = Calserve(both + " --html " + Path("r.html") + data);
  EXPECT_EQ(table.exit_code, 0) << table.output;
  EXPECT_THAT(table.output, HasSubstr("platt_one_vs_rest (" + Path("p.json") + ")"));
  EXPECT_THAT(table.output, HasSubstr("Kuiper"));
  const std::string page = *ReadWholeFile(Path("r.html"));
  EXPECT_THAT(page, HasSubstr("smooth ECE"));
  EXPECT_THAT(page, HasSubstr("temperature (" + Path("t.json") + ")"));
  // One calibrator: its metrics are the document.
  const json single = json::parse(Calserve("report --details --json" + data).output);
  EXPECT_FALSE(single.at("details").at("smooth_ece").is_null());
  EXPECT_EQ(json::parse(Calserve("report --json" + data).output).count("details"), 0u);
}

TEST_F(OfflineCommandTest, MethodsAreJudgedOnRowsLeftOutBesideFilesOnAllRows) {
  const std::string data = WriteOracle(Oracle(0));
  const json fit =
      json::parse(Calserve("fit --json --method temperature --out " + Path("t.json") + data).output);
  const std::string arguments =
      "report --method none --method temperature --method platt --calibrator " + Path("t.json");
  const json report = json::parse(Calserve(arguments + " --json" + data).output).at("calibrators");
  ASSERT_EQ(report.size(), 4u);
  EXPECT_EQ(report[0].at("name"), "none");
  EXPECT_EQ(report[1].at("name"), "temperature");
  EXPECT_EQ(report[2].at("name"), "platt_one_vs_rest");
  EXPECT_NEAR(report[0].at("nll").get<double>(), fit.at("nll_before").get<double>(), 1e-12);
  EXPECT_NEAR(report[1].at("nll").get<double>(), fit.at("nll_cross_validated").get<double>(), 1e-12);
  EXPECT_NEAR(report[3].at("nll").get<double>(), fit.at("nll_after").get<double>(), 1e-12);
  for (const json& one : report) EXPECT_EQ(one.at("n"), report[0].at("n"));
  const Result table = Calserve(arguments + data);
  EXPECT_THAT(table.output, HasSubstr("each row is judged by a fit to the other folds"));
  EXPECT_THAT(table.output, HasSubstr("also to rows that they were fitted to"));
}

TEST_F(OfflineCommandTest, AllMethodsAreThoseThatAutoCompares) {
  const std::string data = WriteOracle(Oracle(0));
  const json all = json::parse(Calserve("report --method all --folds 3 --json" + data).output);
  const json compared = json::parse(Calserve("fit --method auto --folds 3 --json" + data).output);
  ASSERT_EQ(all.at("calibrators").size(), compared.at("comparison").size());
  for (size_t m = 0; m < compared.at("comparison").size(); ++m) {
    const json& row = compared.at("comparison")[m];
    EXPECT_EQ(all.at("calibrators")[m].at("name"), row.at("method"));
    EXPECT_NEAR(all.at("calibrators")[m].at("nll").get<double>(), row.at("nll").get<double>(), 1e-12);
    EXPECT_NEAR(all.at("calibrators")[m].at("ece").get<double>(), row.at("ece").get<double>(), 1e-12);
  }
}

TEST_F(OfflineCommandTest, PagesShowClassesByNameAndWhatAutoCompared) {
  const json oracle = Oracle(0);
  const std::string data = WriteOracle(oracle);
  std::ofstream names(Path("labels.txt"));
  for (int k = 0; k < oracle.at("classes").get<int>(); ++k) names << "kind <" << k << ">\n";
  names.close();
  ASSERT_EQ(
      Calserve("report --method all --html " + Path("r.html") + " --class-names " + Path("labels.txt") + data)
          .exit_code,
      0);
  const std::string page = *ReadWholeFile(Path("r.html"));
  for (const char* part : {"<h2>Side by side</h2>", "<h2>Classes</h2>", "Reliability of kind &lt;0&gt;",
                           "Confidence histogram: histogram"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  const Result wrong =
      Calserve("report 2>&1 --class-names " + Path("labels.txt") + Write({1, 2, 3, 4}, 2, {0, 1}));
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.output, HasSubstr("must have a line for each of the 2 classes; has more"));
  ASSERT_EQ(Calserve("fit --method auto --html " + Path("f.html") + WriteOracle(oracle)).exit_code, 0);
  EXPECT_THAT(*ReadWholeFile(Path("f.html")), HasSubstr("<tr class=\"chosen\">"));
}

TEST_F(OfflineCommandTest, AVersionOfTheServerIsAskedForWhereItIsToBeApplied) {
  const std::string data = Write({1, 2, 3, 4}, 2, {0, 1});
  EXPECT_EQ(Calserve("--server 127.0.0.1:1 --timeout 1s report 2>/dev/null --calibrator-version 1" + data)
                .exit_code,
            3);
}

TEST_F(OfflineCommandTest, EveryMethodIsFittedSavedAndReported) {
  const std::string many = WriteOracle(Oracle(0));
  for (const char* method : {"temperature", "platt", "platt_one_vs_rest", "adaptive_temperature",
                             "ensemble_temperature", "beta", "vector_scaling", "top_label_isotonic",
                             "isotonic", "isotonic_one_vs_rest", "histogram", "scaling_binning"}) {
    const std::string file = Path(std::string(method) + ".json");
    const Result fit = Calserve("fit --json --method " + std::string(method) + " --out " + file + many);
    ASSERT_EQ(fit.exit_code, 0) << method << fit.output;
    const Result report = Calserve("report --json --calibrator " + file + many);
    ASSERT_EQ(report.exit_code, 0) << method << report.output;
    EXPECT_NEAR(json::parse(report.output).at("nll").get<double>(),
                json::parse(fit.output).at("nll_after").get<double>(), 1e-12)
        << method;
  }
  const std::string two = WriteOracle(Oracle(2));
  EXPECT_EQ(Calserve("fit --method beta --out " + Path("beta.json") + two).exit_code, 0);
  EXPECT_EQ(Calserve("report --calibrator " + Path("beta.json") + two).exit_code, 0);
}

TEST_F(OfflineCommandTest, AutoShowsWhatItCompared) {
  const std::string data = WriteOracle(Oracle(0));
  const json fit = json::parse(Calserve("fit --method auto --json" + data).output);
  EXPECT_EQ(fit.at("comparison").size(), 11u);
  EXPECT_EQ(fit.at("comparison").at(0).at("method"), "none");
  EXPECT_EQ(fit.at("selected_optimistic"), true);
  const Result table = Calserve("fit --method auto" + data);
  EXPECT_EQ(table.exit_code, 0);
  for (const char* part :
       {"top_label_isotonic", "standard error", "selected, optimistic", "accuracy change"}) {
    EXPECT_THAT(table.output, HasSubstr(part));
  }
  const Result outer = Calserve("fit --method auto --folds 3 --outer-folds 2" + data);
  EXPECT_EQ(outer.exit_code, 0);
  EXPECT_EQ(outer.output.find("optimistic"), std::string::npos);
  const json holdout = json::parse(Calserve("fit --method auto --json --holdout 0.5" + data).output);
  EXPECT_EQ(holdout.at("holdout"), 0.5);
}

TEST_F(OfflineCommandTest, PeopleGetATableWithoutColourInAPipe) {
  const std::string data = WriteOracle(Oracle(0));
  const Result fit = Calserve("fit --method platt" + data);
  EXPECT_EQ(fit.exit_code, 0);
  EXPECT_THAT(fit.output, HasSubstr("platt_one_vs_rest"));
  const Result report = Calserve("report" + data);
  EXPECT_THAT(report.output, HasSubstr("mean confidence"));
  EXPECT_EQ(report.output.find('\x1b'), std::string::npos);
}

TEST_F(OfflineCommandTest, DataThatSayNoExitWith1) {
  EXPECT_EQ(Calserve("fit 2>&1" + Write({1, 2, 3, 4}, 2, {0, 1})).exit_code, 1);
  EXPECT_THAT(Calserve("fit 2>&1" + Write({1, 2, 3, 4}, 2, {0, 1})).output,
              HasSubstr("at least 30 labelled rows; has 2"));
  std::vector<double> logits(200, 0.5);
  EXPECT_THAT(Calserve("fit 2>&1" + Write(logits, 2, std::vector<int64_t>(100, 1))).output,
              HasSubstr("at least 2 classes"));
  EXPECT_THAT(
      Calserve("report 2>&1" + Write({1, 2, 3, 4}, 2, {0, 2})).output,
      HasSubstr(Path("Y.npy") + ": labels must be in [0, 1], the classes of the logits; labels[1] is 2"));
  logits[101] = std::numeric_limits<double>::quiet_NaN();
  std::vector<int64_t> labels(100, 1);
  labels[0] = 0;
  const Result nan = Calserve("report 2>&1" + Write(logits, 2, labels));
  EXPECT_EQ(nan.exit_code, 1);
  EXPECT_THAT(nan.output,
              HasSubstr(Path("L.npy") + ": logits[50, 1] must be finite and within float32; was nan"));
  EXPECT_THAT(Calserve("report 2>&1 --logits " + Path("absent.npy") + " --labels " + Path("Y.npy")).output,
              HasSubstr("absent.npy"));
}

TEST_F(OfflineCommandTest, AHoldoutThatHoldsNothingOutIsRefused) {
  const Result result = Calserve("fit --holdout 0.00001 2>&1" + WriteOracle(Oracle(0)));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("a holdout of 1e-05 of "));
  EXPECT_THAT(result.output, HasSubstr("leaves fewer than 10 to judge on: take at least "));
}

TEST_F(OfflineCommandTest, AFitShowsItsThresholdsOfPredictionSets) {
  const Result fit = Calserve("fit --set-alpha 0.25" + WriteOracle(Oracle(0)));
  EXPECT_THAT(fit.output, HasSubstr("prediction sets: THR at alpha 0.25, threshold "));
  EXPECT_THAT(fit.output, HasSubstr("prediction sets: APS at alpha 0.25, threshold "));
}

}  // namespace
}  // namespace calserve
