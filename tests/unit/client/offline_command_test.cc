// `calserve fit` and `calserve report` without a server, as a training pipeline calls them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
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

  static Result Calserve(const std::string& arguments) {
    const std::string command = std::string(CALSERVE_COMMAND) + " " + arguments;
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

TEST_F(OfflineCommandTest, EveryMethodIsFittedSavedAndReported) {
  const std::string many = WriteOracle(Oracle(0));
  for (const char* method : {"temperature", "platt", "platt_one_vs_rest", "adaptive_temperature",
                             "ensemble_temperature", "vector_scaling", "top_label_isotonic", "isotonic",
                             "isotonic_one_vs_rest", "histogram", "scaling_binning"}) {
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
  EXPECT_EQ(fit.at("comparison").size(), 10u);
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
  logits[101] = std::numeric_limits<double>::quiet_NaN();
  std::vector<int64_t> labels(100, 1);
  labels[0] = 0;
  const Result nan = Calserve("report 2>&1" + Write(logits, 2, labels));
  EXPECT_EQ(nan.exit_code, 1);
  EXPECT_THAT(nan.output, HasSubstr("50"));  // the row
  EXPECT_THAT(Calserve("report 2>&1 --logits " + Path("absent.npy") + " --labels " + Path("Y.npy")).output,
              HasSubstr("absent.npy"));
}

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
      {"--calibrator-version", "report --calibrator-version 0" + data},
      {"--window", "report --window last_1h" + data},
      {"--stored", "report --stored" + data},
      {"--model", "report --model m" + data},
      {"--bins", "report --bins 10"},
      {"--calibrator", "report --calibrator c.json"},
      {"--source", "report --source me"},
  };
  for (const auto& [option, arguments] : cases) {
    const Result result = Calserve("--server 127.0.0.1:1 --timeout 1s " + arguments + " 2>&1");
    EXPECT_EQ(result.exit_code, 2) << arguments;
    EXPECT_THAT(result.output, HasSubstr(std::string("calserve: ") + option + " needs ")) << arguments;
  }
}

TEST_F(OfflineCommandTest, HelpAndVersionExitWith0) {
  EXPECT_THAT(Calserve("--help").output, HasSubstr("evaluate"));
  EXPECT_EQ(Calserve("fit --help").exit_code, 0);
  EXPECT_EQ(Calserve("--version").exit_code, 0);
}

TEST_F(OfflineCommandTest, NobodyThereExitsWith3) {
  for (const char* arguments :
       {"models", "health", "predict /dev/null", "watch", "fit --model m", "report"}) {
    const Result result = Calserve("--server 127.0.0.1:1 --timeout 2s " + std::string(arguments) + " 2>&1");
    EXPECT_EQ(result.exit_code, 3) << arguments << "\n" << result.output;
    EXPECT_THAT(result.output, HasSubstr("cannot reach 127.0.0.1:1"));
  }
}

}  // namespace
}  // namespace calserve
