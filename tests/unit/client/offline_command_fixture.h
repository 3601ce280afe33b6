#ifndef CALSERVE_TESTS_UNIT_CLIENT_OFFLINE_COMMAND_FIXTURE_H_
#define CALSERVE_TESTS_UNIT_CLIENT_OFFLINE_COMMAND_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "calibration_io/file.h"
#include "nlohmann/json.hpp"
#include "tests/unit/calibration_io/npy_bytes.h"

namespace calserve {

// The built command in a folder of its own, without a server.
struct Result {
  int exit_code = -1;
  std::string output;  // of both streams where `arguments` say so
};

class OfflineCommandTest : public ::testing::Test {
 protected:
  OfflineCommandTest()
      : folder_(std::filesystem::path(::testing::TempDir()) /
                ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::create_directories(folder_);
  }
  ~OfflineCommandTest() override { std::filesystem::remove_all(folder_); }

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
  nlohmann::json Oracle(size_t index) {
    const auto text = ReadWholeFile(CALSERVE_SOURCE_DIR "/tests/oracles/temperature.json");
    EXPECT_TRUE(text.ok()) << text.status();
    return nlohmann::json::parse(*text).at("cases").at(index);
  }
  std::string WriteOracle(const nlohmann::json& oracle) {
    return Write(oracle.at("logits"), oracle.at("classes"), oracle.at("labels"));
  }

  const std::filesystem::path folder_;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_CLIENT_OFFLINE_COMMAND_FIXTURE_H_
