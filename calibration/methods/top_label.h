#ifndef CALSERVE_CALIBRATION_METHODS_TOP_LABEL_H_
#define CALSERVE_CALIBRATION_METHODS_TOP_LABEL_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "calibration/labelled_rows.h"

namespace calserve {

// Methods that calibrate the confidence alone: how often the top class is right.

// Replaces logits by probabilities: the top class gets `confidence` in [0, 1], the others share the rest in
// the proportions of their softmax. The top class stays the top: a confidence below what would tie with the
// second is raised to it.
void SpreadConfidence(double confidence, absl::Span<double> row);

// What such a method is fitted to, one a row: the log-odds of the top class, and whether it was the label.
struct TopLabels {
  std::vector<double> scores;
  std::vector<uint8_t> correct;
};
TopLabels TopLabelsOf(const LabelledRows& data);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METHODS_TOP_LABEL_H_
