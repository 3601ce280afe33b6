#ifndef CALSERVE_SERVER_RECALIBRATION_LABELLED_LOGITS_H_
#define CALSERVE_SERVER_RECALIBRATION_LABELLED_LOGITS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace calserve {

// A model version that calibrators are fitted for.
struct CalibrationTarget {
  std::string model;
  int64_t model_version = 0;
  int classes = 0;
  std::string digest;  // of its content (TicketContent::model_digest); empty: whatever it is
};

// Labelled logits: N×K float32, row-major (K as LogitsView: 1 for a single-logit binary model), N class
// indices.
struct LabelledLogits {
  int columns = 0;
  std::vector<float> logits;
  std::vector<int32_t> labels;
  // Of the log: of the newest label among them; of data from elsewhere, of the newest when they came.
  int64_t position = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RECALIBRATION_LABELLED_LOGITS_H_
