// `calserve fit` and `calserve report` without a server, as a training pipeline calls them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "calibration_io/file.h"
#include "nlohmann/json.hpp"
#include "tests/unit/calibration_io/npy_bytes.h"

namespace calserve {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

struct Result {
  int exit_code = -1;
  std::string output;  // of both streams where `arguments` say so
};

class OfflineCommandTest : public ::testing::Test {
 protected:
  OfflineCommandTest()
      : folder_(fs::path(::testing::TempDir()) /
                ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::create_directories(folder_);
  }
  ~OfflineCommandTest() override { fs::remove_all(folder_); }

  std::string Path(const std::string& name) { return (folder_ / name).string(); }

  // `before` is what the shell does first.
  static Result Calserve(const std::string& arguments, const std::string& before = "") {
    const std::string command = before + CALSERVE_COMMAND + " " + arguments;
    std::FILE* const pipe = popen(command.c_str(), "r");
    Result result;
    char buffer[4096];
    while (const size_t size = std::fread(buffer, 1, sizeof(buffer), pipe))
      result.output.append(buffer, size);
    const int status = pclose(pipe);
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return result;
  }

  // Writes L.npy and Y.npy; returns the options that name them.
  std::string Write(const std::vector<double>& logits, int columns, const std::vector<int64_t>& labels) {
    const std::string shape =
        "(" + std::to_string(logits.size() / columns) + ", " + std::to_string(columns) + ")";
    const std::string labels_shape = "(" + std::to_string(labels.size()) + ",)";
    EXPECT_TRUE(WriteWholeFile(Path("L.npy"), NpyFile(NpyHeader("<f8", shape), Bytes(logits))).ok());
    EXPECT_TRUE(WriteWholeFile(Path("Y.npy"), NpyFile(NpyHeader("<i8", labels_shape), Bytes(labels))).ok());
    return " --logits " + Path("L.npy") + " --labels " + Path("Y.npy");
  }

  // Case `index` of the oracle file of temperature scaling.
  json Oracle(size_t index) {
    const auto text = ReadWholeFile(CALSERVE_SOURCE_DIR "/tests/oracles/temperature.json");
    EXPECT_TRUE(text.ok()) << text.status();
    return json::parse(*text).at("cases").at(index);
  }
  std::string WriteOracle(const json& oracle) {
    return Write(oracle.at("logits"), oracle.at("classes"), oracle.at("labels"));
  }

  const fs::path folder_;
};

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

TEST_F(OfflineCommandTest, WhatNeverEndsOrIsTooLargeIsRefusedWithTheLimit) {
  const std::string data = Write({1, 2, 3, 4}, 2, {0, 1});
  std::ofstream(Path("large.npy"));
  fs::resize_file(Path("large.npy"), uintmax_t{100} << 30);  // takes no room on the disk
  const std::pair<std::string, std::string> cases[] = {
      {"fit --logits - --labels " + Path("Y.npy") + " </dev/zero", "1 GiB"},
      {"fit --logits " + Path("L.npy") + " --labels " + Path("large.npy"), "1 GiB"},
      {"report --logits " + Path("large.npy") + " --labels " + Path("Y.npy"), "1 GiB"},
      {"report --calibrator " + Path("large.npy") + data, "16 MiB"},
  };
  for (const auto& [arguments, limit] : cases) {
    const Result result = Calserve(arguments + " 2>&1");
    EXPECT_EQ(result.exit_code, 1) << arguments;
    EXPECT_THAT(result.output, HasSubstr(" is larger than the limit of " + limit)) << arguments;
  }
}

TEST_F(OfflineCommandTest, ADeviceAndAPipeWithoutAWriterAreRefusedAtOnce) {
  const std::string data = Write({1, 2, 3, 4}, 2, {0, 1});
  fs::create_symlink("/dev/zero", Path("endless.csv"));
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  for (const std::string& path : {Path("endless.csv"), Path("pipe")}) {
    for (const std::string& arguments :
         {"fit --logits " + path + " --labels " + Path("Y.npy"), "report --calibrator " + path + data,
          "report --class-names " + path + data}) {
      const Result result = Calserve(arguments + " 2>&1");
      EXPECT_EQ(result.exit_code, 1) << arguments;
      EXPECT_THAT(result.output, HasSubstr(path + " is a device or a pipe; a regular file is needed"));
    }
    const Result result = Calserve("models --server 127.0.0.1:1 --token-file " + path + " 2>&1");
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.output, HasSubstr(path + " is a device or a pipe; a regular file is needed"));
  }
  const Result large = Calserve("models --server 127.0.0.1:1 --token-file " + Path("large") + " 2>&1",
                                "head -c 16385 /dev/zero | tr '\\0' a > " + Path("large") + "; ");
  EXPECT_EQ(large.exit_code, 1);
  EXPECT_THAT(large.output, HasSubstr("is larger than the limit of 16 KiB"));
}

TEST_F(OfflineCommandTest, ATokenThatNoCallCanCarryIsRefusedAndNotShown) {
  for (const char* token : {"secret\nsecret", "secret\303\251", "sec\001ret", "secret two"}) {
    const std::string variable = "CALSERVE_TOKEN=\"$(printf '" + std::string(token) + "')\" ";
    const Result result = Calserve("models --server 127.0.0.1:1 2>&1", variable);
    EXPECT_EQ(result.exit_code, 2) << token << "\n" << result.output;
    EXPECT_THAT(result.output, HasSubstr("CALSERVE_TOKEN: token must be one word of printable ASCII"));
    EXPECT_THAT(result.output, ::testing::Not(HasSubstr("sec"))) << token;
  }
  EXPECT_EQ(Calserve("models --timeout 1s --server 127.0.0.1:1 2>&1", "CALSERVE_TOKEN=' good ' ").exit_code,
            3);
}

#ifndef __SANITIZE_ADDRESS__  // It takes terabytes of addresses.
TEST_F(OfflineCommandTest, TooLittleMemoryIsSaid) {
  std::ofstream(Path("zeros.npy"));
  fs::resize_file(Path("zeros.npy"), uintmax_t{1} << 30);
  const std::string command = "fit --logits " + Path("zeros.npy") + " --labels " + Path("zeros.npy");
  const Result result = Calserve(command + " 2>&1", "ulimit -v 600000; ");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("RESOURCE_EXHAUSTED: there is not enough memory"));
}
#endif

TEST_F(OfflineCommandTest, AFailedCommandPrintsOneJsonDocumentToo) {
  const std::string few = Write({1, 2, 3, 4}, 2, {0, 1});
  const std::string unreachable = "--server 127.0.0.1:1 --timeout 1s ";
  const std::tuple<std::string, int, const char*> cases[] = {
      {"fit" + few, 1, "FAILED_PRECONDITION"},       {"report --svg /absent/r.svg" + few, 1, "NOT_FOUND"},
      {"report --bins 10", 2, "INVALID_ARGUMENT"},   {"frobnicate", 2, "INVALID_ARGUMENT"},
      {"fit --method magic", 2, "INVALID_ARGUMENT"}, {unreachable + "models", 3, "UNAVAILABLE"},
      {unreachable + "watch", 3, "UNAVAILABLE"},
  };
  for (const auto& [arguments, exit_code, code] : cases) {
    for (const std::string& command : {"--json " + arguments, arguments + " --json"}) {
      const Result result = Calserve(command + " 2>/dev/null");
      EXPECT_EQ(result.exit_code, exit_code) << command;
      const json document = json::parse(result.output, nullptr, /*allow_exceptions=*/false);
      ASSERT_TRUE(document.is_object()) << command << "\n" << result.output;
      EXPECT_EQ(document.at("error").at("code"), code) << command;
      EXPECT_FALSE(document.at("error").at("message").get<std::string>().empty()) << command;
    }
  }
  // What was done before the error stays in the document.
  const json report = json::parse(Calserve("report --json 2>/dev/null --svg /absent/r.svg" + few).output);
  EXPECT_EQ(report.at("n"), 2);
}

TEST_F(OfflineCommandTest, OutputThatCannotBeWrittenIsAnError) {
  const std::string data = WriteOracle(Oracle(0));
  for (const std::string& arguments : {"report" + data, "report --json" + data, "fit" + data,
                                       std::string("--help"), std::string("--version")}) {
    const Result result = Calserve(arguments + " 2>&1 >/dev/full");
    EXPECT_EQ(result.exit_code, 1) << arguments;
    EXPECT_THAT(result.output, HasSubstr("cannot write to standard output: No space left")) << arguments;
  }
}

TEST_F(OfflineCommandTest, WrongUsageExitsWith2) {
  for (const char* arguments :
       {"", "frobnicate", "fit --method magic", "fit --logits L.npy", "report --bins 0 --logits L --labels Y",
        "fit --logits L --labels Y --model m --out c.json", "predict", "models --timeout soon",
        "report --stored --window last_1h", "feedback --ticket AAAA"}) {
    EXPECT_EQ(Calserve(std::string(arguments) + " 2>/dev/null").exit_code, 2) << arguments;
  }
}

TEST_F(OfflineCommandTest, AnOptionThatWouldBeIgnoredIsWrongUsage) {
  const std::string data = Write({1, 2, 3, 4}, 2, {0, 1});
  const std::pair<const char*, std::string> cases[] = {
      {"--activate", "fit --activate" + data},
      {"--model-version", "fit --model-version 2" + data},
      {"--source", "fit --source me" + data},
      {"--exclude-source", "fit --model m --exclude-source me" + data},
      {"--max-rows", "fit --images " + Path("images") + " --max-rows 9"},
      {"--out", "fit --out c.json"},
      {"--outer-folds", "fit --outer-folds 3" + data},
      {"--out", "fit --model m --out c.json" + data},
      {"--model-version", "report --model-version 1" + data},
      {"--window", "report --calibrator-version 0 --window last_1h" + data},
      {"--folds", "report --folds 3" + data},
      {"--method", "report --method temperature"},
      {"--class-names", "report --class-names labels.txt"},
      {"--window", "report --window last_1h" + data},
      {"--stored", "report --stored" + data},
      {"--model", "report --model m" + data},
      {"--bins", "report --bins 10"},
      {"--calibrator", "report --calibrator c.json"},
      {"--details", "report --details --window last_1h"},
      {"--source", "report --source me"},
      {"--server", "report --server localhost:1" + data},
      {"--server", "--server localhost:1 fit" + data},
      {"--timeout", "fit --timeout 1s" + data},
  };
  for (const auto& [option, arguments] : cases) {
    const Result result = Calserve(arguments + " 2>&1", "CALSERVE_SERVER=127.0.0.1:1 ");
    EXPECT_EQ(result.exit_code, 2) << arguments;
    EXPECT_THAT(result.output, HasSubstr(std::string("calserve: ") + option + " needs ")) << arguments;
  }
}

TEST_F(OfflineCommandTest, AValueThatCannotBeSentIsWrongUsageAndNamesTheOption) {
  const std::string bad = "$(printf 'a\\377')";
  const std::string rule = " must be valid UTF-8; was \"a\\xff\"";
  const std::pair<std::string, std::string> cases[] = {
      {"predict x --model " + bad, "--model:" + rule},
      {"predict x --version-label " + bad, "--version-label:" + rule},
      {"predict x --routing-key " + bad, "--routing-key:" + rule},
      {"evaluate x --source " + bad, "--source:" + rule},
      {"evaluate x --model " + bad, "--model:" + rule},
      {"feedback --ticket AAAA --label " + bad, "--label:" + rule},
      {"feedback --source " + bad, "--source:" + rule},
      {"bogus", "there is no command or option bogus"},
      {"calibrators bogus", "there is no command or option bogus; there are list, show, activate, rollback"},
      {"calibrators", "a command is needed; there are list, show, activate, rollback"},
      {"--bogus", "there is no command or option --bogus"},
      {"fit --holdout nan", "--holdout: must be a number from 0 to 0.9; was nan"},
      {"fit --holdout 2", "--holdout: must be a number from 0 to 0.9; was 2"},
      {"fit --set-alpha nan", "--set-alpha: must be in (0, 1); was nan"},
      {"fit --set-alpha 0.1 --set-alpha 0.10", "--set-alpha: set_alphas has 0.1 twice"},
      {"fit --html ''", "--html: must name a file; was empty"},
      {"fit --html -", "--html: must name a file; standard output has what the command prints"},
      {"fit --out -", "--out: must name a file; standard output"},
      {"report --svg ''", "--svg: must name a file; was empty"},
      {"report --html -", "--html: must name a file; standard output"},
      {"report --logits '' --labels ''", "--logits: must name a file; was empty"},
      {"fit --images ''", "--images: must name a file; was empty"},
      {"evaluate ''", "images: must name a file; was empty"},
      {"predict ''", "files: must name a file; was empty"},
      {"calibrators show 1 --out ''", "--out: must name a file; was empty"},
      {"models --json --json", "--json: At Most 1 required but received 2"},
      {"fit --activate --activate", "--activate: At Most 1 required but received 2"},
      {"watch --model a --model b", "--model: At Most 1 required but received 2"},
      {"watch --model ''", "--model: must not be empty; leave the option out for its default"},
      {"calibrators show x", "version: must be a whole number, 0 or more; was x"},
      {"calibrators activate -1", "version: must be a whole number, 0 or more; was -1"},
      {"predict x --top-k x", "--top-k: must be a whole number, 0 to 2147483647; was x"},
      {"predict x --model-version x", "--model-version: must be a whole number, 0 or more; was x"},
      {"slices --model-version 1.5", "--model-version: must be a whole number, 0 or more; was 1.5"},
      {"acknowledge --model-version x", "--model-version: must be a whole number, 0 or more; was x"},
      {"refits --model-version x", "--model-version: must be a whole number, 0 or more; was x"},
      {"watch --window " + bad, "--window:" + rule},
      {"watch --model " + bad, "--model:" + rule},
      {"calibrators list --model " + bad, "--model:" + rule},
      {"fit --model " + bad, "--model:" + rule},
      {"fit --model m --source " + bad, "--source:" + rule},
      {"fit --model m --exclude-source " + bad, "--exclude-source:" + rule},
      {"report --model " + bad, "--model:" + rule},
      {"report --window " + bad, "--window:" + rule},
      {"report --stored --source " + bad, "--source:" + rule},
      {"report --stored --exclude-source " + bad, "--exclude-source:" + rule},
      {"health " + bad, "service:" + rule},
      {"models --server " + bad, "--server" + rule},
      {"models --server localhost:65536", "port at most 65535; was localhost:65536"},
      {"models --server 127.0.0.1:99999999999999999999", "port at most 65535"},
      {"predict x --priority -1", "--priority: must be a whole number, 0 to 2147483647; was -1"},
      {"watch --calibrator -1", "--calibrator: must be a whole number, 0 or more; was -1"},
  };
  for (const auto& [arguments, says] : cases) {
    const Result result = Calserve(arguments + " 2>&1", "CALSERVE_SERVER=127.0.0.1:1 ");
    EXPECT_EQ(result.exit_code, 2) << arguments;
    EXPECT_THAT(result.output, HasSubstr(says)) << arguments;
  }
  EXPECT_EQ(Calserve("models 2>&1", "CALSERVE_SERVER=" + bad + " ").exit_code, 2);
}

TEST_F(OfflineCommandTest, HelpAndVersionExitWith0) {
  EXPECT_THAT(Calserve("--help").output, HasSubstr("evaluate"));
  EXPECT_EQ(Calserve("fit --help").exit_code, 0);
  EXPECT_EQ(Calserve("--version").exit_code, 0);
}

TEST_F(OfflineCommandTest, NobodyThereExitsWith3) {
  for (const char* arguments : {"models", "health", "predict no.png", "watch", "fit --model m", "report"}) {
    const Result result = Calserve("--server 127.0.0.1:1 --timeout 2s " + std::string(arguments) + " 2>&1");
    EXPECT_EQ(result.exit_code, 3) << arguments << "\n" << result.output;
    EXPECT_THAT(result.output,
                HasSubstr("cannot reach 127.0.0.1:1: Connection refused: is calserve-server running there?"));
  }
}

}  // namespace
}  // namespace calserve
