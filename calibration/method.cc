#include "calibration/method.h"

#include "absl/strings/str_cat.h"
#include "calibration/methods/methods.h"

namespace calserve {

absl::Status FitCancelled() { return absl::CancelledError("the fit was cancelled"); }

int64_t BytesOfFit(const Method& method, int64_t rows, int classes) {
  return method.bytes_per_logit * rows * classes;
}

absl::Status CheckBytesOfFit(const Method& method, int64_t rows, int classes, int64_t max_bytes) {
  const int64_t bytes = BytesOfFit(method, rows, classes);
  if (max_bytes == 0 || bytes <= max_bytes) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("a fit by ", method.name, " to ", rows, " rows of ", classes, " classes takes ", bytes,
                   " bytes beside the logits; ", max_bytes, " are left: take at most ",
                   max_bytes / (int64_t{method.bytes_per_logit} * classes), " rows, or another method"));
}

absl::Span<const Method> AllMethods() {
  static const Method kMethods[] = {
      NoneMethod(),
      TemperatureMethod(),
      PlattMethod(),
      PlattOneVsRestMethod(),
      AdaptiveTemperatureMethod(),
      EnsembleTemperatureMethod(),
      BetaMethod(),
      BetaOneVsRestMethod(),
      VectorScalingMethod(),
      TopLabelIsotonicMethod(),
      IsotonicMethod(),
      IsotonicOneVsRestMethod(),
      HistogramMethod(),
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
