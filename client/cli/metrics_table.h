#ifndef CALSERVE_CLIENT_CLI_METRICS_TABLE_H_
#define CALSERVE_CLIENT_CLI_METRICS_TABLE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "calibration/metrics.h"
#include "calibration/metrics/detailed_metrics.h"
#include "client/cli/class_diagrams.h"
#include "client/cli/terminal.h"

namespace calserve::cli {

// Metrics under the name of what they measure: "uncalibrated", "temperature".
struct NamedMetrics {
  std::string name;
  CalibrationMetrics metrics;
  std::optional<DetailedMetrics> details;  // of the same rows
  std::vector<ClassDiagram> classes;       // of the same rows; empty where they are not known
};

// A row a metric (n, accuracy, mean confidence, ECE, its interval, noise floor, MCE, NLL, Brier): its name,
// then a value for each of `columns`; where one has details, DetailsRows too. For text and for HTML.
std::vector<std::vector<std::string>> MetricsRows(absl::Span<const NamedMetrics> columns);

// The same as an aligned table; on a terminal, where it is too wide, as several one below another.
std::string MetricsTable(absl::Span<const NamedMetrics> columns, const Terminal& terminal);

// Four decimals; "-" where unset.
std::string FormatMetric(std::optional<double> value);
// The same, of `metrics`; "-" also where they are of no label: zeros would look like perfect calibration.
std::string FormatMetric(const CalibrationMetrics& metrics, std::optional<double> value);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_METRICS_TABLE_H_
