#include "calibration/method.h"

#include "absl/strings/str_cat.h"
#include "calibration/methods/methods.h"

namespace calserve {

absl::Status FitCancelled() { return absl::CancelledError("the fit was cancelled"); }

absl::Span<const Method> AllMethods() {
  static const Method kMethods[] = {
      NoneMethod(),           TemperatureMethod(),         PlattMethod(),
      PlattOneVsRestMethod(), AdaptiveTemperatureMethod(), EnsembleTemperatureMethod(),
      BetaMethod(),           VectorScalingMethod(),       TopLabelIsotonicMethod(),
      IsotonicMethod(),       IsotonicOneVsRestMethod(),   HistogramMethod(),
      ScalingBinningMethod(),
  };
  return kMethods;
}

const Method* FindMethod(CalibrationMethod id) {
  for (const Method& method : AllMethods()) {
    if (method.id == id) return &method;
  }
  return nullptr;
}

absl::Status CheckClassesOf(const Method& method, int classes) {
  if (!method.two_classes_only || classes == 2) return absl::OkStatus();
  const std::string instead =
      method.on_more_classes == method.id ? "" : absl::StrCat(": use ", MethodName(method.on_more_classes));
  return absl::InvalidArgumentError(
      absl::StrCat("method ", method.name, " needs 2 classes; was ", classes, instead));
}

}  // namespace calserve
