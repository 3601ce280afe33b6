// What the calserve command refuses without a server, and with which exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <tuple>
#include <utility>

#include "calibration_io/file.h"
#include "nlohmann/json.hpp"
#include "tests/unit/client/offline_command_fixture.h"

namespace calserve {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

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
