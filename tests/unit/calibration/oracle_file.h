#ifndef CALSERVE_TESTS_UNIT_CALIBRATION_ORACLE_FILE_H_
#define CALSERVE_TESTS_UNIT_CALIBRATION_ORACLE_FILE_H_

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace calserve {

// tests/oracles/NAME.json.
inline nlohmann::json LoadOracle(const std::string& name) {
  const std::string path = std::string(CALSERVE_SOURCE_DIR) + "/tests/oracles/" + name + ".json";
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  return nlohmann::json::parse(file);
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_CALIBRATION_ORACLE_FILE_H_
