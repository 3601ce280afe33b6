#ifndef CALSERVE_CLIENT_CLI_REPORT_OPTIONS_H_
#define CALSERVE_CLIENT_CLI_REPORT_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "calibration/metrics.h"
#include "client/cli/report_output.h"

namespace calserve::cli {

// What `calserve report` was told.
struct ReportOptions {
  ReportFiles files;
  bool details = false;
  // Offline:
  std::string logits, labels;
  std::vector<std::string> calibrators, methods;
  int folds = 5;
  int bins = kDefaultBins;
  std::string class_names;
  // With a server:
  std::string model;
  int64_t model_version = 0;
  std::vector<int64_t> calibrator_versions;
  std::string window = "last_1000";
  bool stored = false;
  std::vector<std::string> sources, excluded_sources;
  int64_t max_rows = 0;
  std::string slice;
  std::vector<std::string> attributes;
};

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_REPORT_OPTIONS_H_
