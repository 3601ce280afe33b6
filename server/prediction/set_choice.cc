#include "server/prediction/set_choice.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/set_alphas.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

std::string Named(const SetThreshold& threshold) {
  return absl::StrCat(ScoreName(threshold.score), " at alpha ", SetAlphaText(threshold.alpha));
}

}  // namespace

absl::StatusOr<SetThreshold> FindThreshold(const SetChoice& choice, const ServedModel& model,
                                           const ServedCalibrator& calibrator) {
  if (!choice.score.has_value()) {
    return WithField(absl::InvalidArgumentError("the method of a prediction set must be THR or APS"),
                     "options.prediction_set.method");
  }
  if (!(choice.alpha > 0 && choice.alpha < 1)) {
    return WithField(absl::InvalidArgumentError(absl::StrCat(
                         "alpha of a prediction set must be in (0, 1); was ", SetAlphaText(choice.alpha))),
                     "options.prediction_set.alpha");
  }
  const std::vector<SetThreshold>& thresholds = calibrator.calibrator.spec().set_thresholds;
  for (const SetThreshold& threshold : thresholds) {
    if (threshold.score == *choice.score && std::abs(threshold.alpha - choice.alpha) <= kSameSetAlpha)
      return threshold;
  }
  const std::string asked = Named({*choice.score, choice.alpha});
  const std::string has = thresholds.empty()
                              ? "none"
                              : absl::StrJoin(thresholds, ", ", [](std::string* out, const SetThreshold& t) {
                                  out->append(Named(t));
                                });
  const std::string who = calibrator.version == 0 ? "plain softmax (calibrator 0)"
                                                  : absl::StrCat("calibrator ", calibrator.version);
  return WithField(
      WithReason(absl::FailedPreconditionError(absl::StrCat(
                     who, " of model '", model.name, "' version ", model.version, " has no threshold for ",
                     asked, "; it has ", has, thresholds.empty() ? ": fit" : ": ask for one of those, or fit",
                     " a calibrator with this alpha (set_alphas, of at ",
                     "least 1 / alpha - 1 rows left out of its fits) and activate it")),
                 "NO_SET_THRESHOLD"),
      "options.prediction_set");
}

}  // namespace calserve
