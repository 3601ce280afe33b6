#ifndef CALSERVE_CALIBRATION_CHOOSE_METHOD_H_
#define CALSERVE_CALIBRATION_CHOOSE_METHOD_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/folds.h"
#include "calibration/method.h"

namespace calserve {

// One method's row in the comparison by which "auto" chooses: figures on rows left out of its fits.
struct MethodComparison {
  CalibrationMethod method = CalibrationMethod::kNone;
  std::string failure;  // why it could not be fitted; then there are no figures
  double ece = 0;
  double nll = 0;
  double brier = 0;
  double accuracy_change = 0;  // against argmax of the logits
  double nll_excess = 0;       // mean over rows of its nll less the best method's
  double standard_error = 0;   // of that mean, over the paired differences
  double seconds = 0;          // of its fits: the one figure that is another in another run
  friend bool operator==(const MethodComparison&, const MethodComparison&) = default;
};

struct Choice {
  const Method* method = nullptr;
  CalibrationMetrics metrics;                // its figures in the comparison
  std::vector<MethodComparison> comparison;  // in order of simplicity
};

// Compares every method for so many classes on the splits, one or more, and takes the simplest whose paired
// difference in negative log-likelihood to the best is within one standard error. A method that cannot be
// fitted to a split, or would take more than `max_bytes` (CheckBytesOfFit), is out. CANCELLED.
absl::StatusOr<Choice> ChooseMethod(const std::vector<FoldSplit>& splits, int classes, int bins,
                                    const FitProgress& progress, int64_t max_bytes = 0);

// The methods that it compares, in order of simplicity.
std::vector<const Method*> CompetingMethods(int classes);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_CHOOSE_METHOD_H_
