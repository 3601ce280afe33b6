#ifndef CALSERVE_CALIBRATION_CONFORMAL_H_
#define CALSERVE_CALIBRATION_CONFORMAL_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/calibrator.h"
#include "calibration/logits.h"

namespace calserve {

// Split conformal prediction: sets of classes that hold the true one with probability at least 1 - alpha,
// whatever the model, where new rows are exchangeable with the labelled ones that gave the threshold.

// How little a class fits a row: the set of a row is {k: score_k <= threshold}.
enum class ConformalScore {
  kThr,  // 1 - p_k: the smallest sets on average (Sadinle et al., 2019; also LAC)
  kAps,  // the sum of the probabilities down to and including k's, the classes in the order of MoreProbable:
         // sets that grow with the difficulty of the row (Romano et al., 2020, without randomisation, so that
         // a row has one set: coverage is at least 1 - alpha, and above it)
};

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

// The classes of the row's set, the most probable first; empty where even that one's score is above.
std::vector<int> PredictionSet(ConformalScore score, double threshold, absl::Span<const float> probabilities,
                               absl::Span<const double> logits);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_CONFORMAL_H_
