#include "client/cli/set_thresholds_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "calibration/set_alphas.h"

namespace calserve::cli {

std::string SetThresholdsText(const std::vector<SetThreshold>& thresholds) {
  if (thresholds.empty()) {
    return "prediction sets: none; a fit has some where at least 1 / alpha - 1 rows are left out of its "
           "fits\n";
  }
  std::string out;
  for (const SetThreshold& threshold : thresholds) {
    absl::StrAppendFormat(&out, "prediction sets: %s at alpha %s, threshold %.6g of %d rows\n",
                          ScoreName(threshold.score), SetAlphaText(threshold.alpha), threshold.threshold,
                          threshold.n);
  }
  return out;
}

}  // namespace calserve::cli
