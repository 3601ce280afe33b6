#ifndef CALSERVE_CALIBRATION_IO_LABELLED_LOGITS_FILE_H_
#define CALSERVE_CALIBRATION_IO_LABELLED_LOGITS_FILE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/logits.h"

namespace calserve {

// Logits and true classes read from two files, each .npy or .csv by its name: what offline `fit` and `report`
// work on.
struct LabelledLogitsFile {
  int columns = 0;  // K; 1 for a binary model with a single logit
  std::variant<std::vector<float>, std::vector<double>> logits;  // N×K, row-major, in the file's precision
  std::vector<int32_t> labels;                                   // N

  // Valid while this object is.
  LogitsView view() const;
};

// Logits: N×K (or N, then K = 1) of float32 or float64. Labels: N (or N×1) integers. INVALID_ARGUMENT names
// the file, its dtype and shape; also where the two differ in length. Values are not looked at: calibration/
// checks them.
absl::StatusOr<LabelledLogitsFile> ReadLabelledLogits(const std::string& logits_path,
                                                      const std::string& labels_path);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_IO_LABELLED_LOGITS_FILE_H_
