#ifndef CALSERVE_CALIBRATION_IO_CALIBRATOR_JSON_H_
#define CALSERVE_CALIBRATION_IO_CALIBRATOR_JSON_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "calibration/calibrator.h"
#include "calibration/fit.h"

namespace calserve {

// A calibrator and the report of its fit, as a calibrator.json holds them.
struct CalibratorDocument {
  CalibratorSpec spec;
  std::optional<FitReport> report;
};

// JSON text: {"format": "calserve.calibrator.v1", "method": ..., "classes": K, "parameters":
// {"temperature": 1.5}, "set_thresholds": [{"method": "THR", "alpha": 0.1, "threshold": 0.8, "n": 1000}],
// "report": {...}}; what is empty or unset is left out. Doubles round-trip exactly; keys in a fixed order, so
// that the same calibrator has the same text.
std::string CalibratorToJson(const CalibratorDocument& document);
// INVALID_ARGUMENT naming the key and what is wrong with it; the spec passes Calibrator::Create.
absl::StatusOr<CalibratorDocument> CalibratorFromJson(absl::string_view json);
// The same from a file, for a model of so many classes, or of any number. Errors name the file.
absl::StatusOr<CalibratorDocument> ReadCalibratorFile(const std::string& path, std::optional<int> classes);

// n, accuracy, mean_confidence, ece, ece_low, ece_high, noise_floor, mce, nll, brier, bins [{lower, upper,
// count, confidence, accuracy}]; what is unset is null.
std::string MetricsToJson(const CalibrationMetrics& metrics);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_IO_CALIBRATOR_JSON_H_
