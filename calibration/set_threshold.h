#ifndef CALSERVE_CALIBRATION_SET_THRESHOLD_H_
#define CALSERVE_CALIBRATION_SET_THRESHOLD_H_

#include <cstdint>

namespace calserve {

// How little a class fits a row: the set of a row is {k: score_k <= threshold}.
enum class ConformalScore {
  kThr,  // 1 - p_k: the smallest sets on average (Sadinle et al., 2019; also LAC)
  kAps,  // the sum of the probabilities down to and including k's, the classes in the order of MoreProbable:
         // sets that grow with the difficulty of the row (Romano et al., 2020, without randomisation, so that
         // a row has one set: coverage is at least 1 - alpha, and above it)
};

// "THR", "APS".
inline const char* ScoreName(ConformalScore score) { return score == ConformalScore::kThr ? "THR" : "APS"; }

// From what score on a class is left out of a prediction set, so that sets miss about `alpha` of the true
// classes: the (n + 1)(1 - alpha)-th smallest score of n true classes.
struct SetThreshold {
  ConformalScore score = ConformalScore::kThr;
  double alpha = 0;      // (0, 1)
  double threshold = 0;  // finite, >= 0
  int64_t n = 0;         // labelled rows that it is of
  friend bool operator==(const SetThreshold&, const SetThreshold&) = default;
};

// Thresholds that a calibrator may have, of all scores and alphas together.
inline constexpr int kMaxSetThresholds = 16;

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_SET_THRESHOLD_H_
