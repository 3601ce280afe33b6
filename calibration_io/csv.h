#ifndef CALSERVE_CALIBRATION_IO_CSV_H_
#define CALSERVE_CALIBRATION_IO_CSV_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace calserve {

// Comma-separated text: a record a line (LF or CRLF), fields optionally in double quotes ("" for a quote
// inside), empty lines left out. A line has at most kMaxLineBytes. A first line whose first field is no
// number (for images: "path,label") is a header and left out. Errors are INVALID_ARGUMENT and name `name` (of
// the file), the line and the value.

// N records of the same number K of numbers: as float64 at most kMaxDataFileBytes, lines times K.
struct CsvNumbers {
  int columns = 0;
  std::vector<double> values;  // N×K, row-major
};
absl::StatusOr<CsvNumbers> ParseCsvNumbers(absl::string_view text, absl::string_view name);

// N records of one integer each.
absl::StatusOr<std::vector<int64_t>> ParseCsvIntegers(absl::string_view text, absl::string_view name);

// Records "path,label": an image file, and a class name or index.
struct LabelledPath {
  std::string path;
  std::string label;
};
absl::StatusOr<std::vector<LabelledPath>> ParseLabelledPaths(absl::string_view text, absl::string_view name);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_IO_CSV_H_
