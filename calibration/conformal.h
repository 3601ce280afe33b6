#ifndef CALSERVE_CALIBRATION_CONFORMAL_H_
#define CALSERVE_CALIBRATION_CONFORMAL_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/calibrator.h"
#include "calibration/labelled_rows.h"
#include "calibration/logits.h"
#include "calibration/set_threshold.h"

namespace calserve {

// Split conformal prediction: sets of classes that hold the true one with probability at least 1 - alpha,
// whatever the model, where new rows are exchangeable with the labelled ones that gave the threshold.

// The scores of all K classes of a row. `logits` as for MoreProbable: they order equal probabilities.
std::vector<double> ConformalScores(ConformalScore score, absl::Span<const float> probabilities,
                                    absl::Span<const double> logits);

// The ceil((n + 1) (1 - alpha))-th smallest of the n scores of true classes; +infinity, so that sets hold
// every class, where there are fewer. INVALID_ARGUMENT unless alpha is in (0, 1) and no score is a NaN.
absl::StatusOr<double> ConformalThreshold(std::vector<double> true_class_scores, double alpha);

// The threshold of the rows, their probabilities from `calibrator`. INVALID_ARGUMENT also as Evaluate.
absl::StatusOr<double> FitConformalThreshold(ConformalScore score, const Calibrator& calibrator,
                                             LogitsView logits, absl::Span<const int32_t> labels,
                                             double alpha);

// The scores of the true classes of some rows, for thresholds of both scores. Rows are added in any number of
// parts, each under the calibrator that is to judge it.
class TrueClassScores {
 public:
  // Rows that CheckLabelledLogits has passed, of the calibrator's classes.
  void Add(const Calibrator& calibrator, const LabelledRows& rows);
  int64_t n() const { return static_cast<int64_t>(thr_.size()); }
  // THR and APS for each alpha in (0, 1), in their order; nothing for one that n rows are too few for: fewer
  // than 1 / alpha - 1, for which every set would hold every class.
  std::vector<SetThreshold> Thresholds(absl::Span<const double> alphas) const;

 private:
  std::vector<double> thr_, aps_;
};

// The classes of the row's set, the most probable first. By kThr empty where even that one's score is above.
// By kAps never: a row has a high score for its most probable class where that one is all but certain, and
// leaving it out there would be absurd; a larger set misses no more.
std::vector<int> PredictionSet(ConformalScore score, double threshold, absl::Span<const float> probabilities,
                               absl::Span<const double> logits);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_CONFORMAL_H_
