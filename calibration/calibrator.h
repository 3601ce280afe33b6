#ifndef CALSERVE_CALIBRATION_CALIBRATOR_H_
#define CALSERVE_CALIBRATION_CALIBRATOR_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/set_threshold.h"

namespace calserve {

enum class CalibrationMethod {
  kNone,
  kTemperature,
  kPlatt,
  kPlattOneVsRest,
  kAdaptiveTemperature,
  kEnsembleTemperature,
  kBeta,
  kBetaOneVsRest,
  kVectorScaling,
  kTopLabelIsotonic,
  kIsotonic,
  kIsotonicOneVsRest,
  kHistogram,
  kScalingBinning,
  kAuto,  // asks a fit to choose one of the others; no calibrator has it
};

// "none", "temperature", "platt", "platt_one_vs_rest", ...: the table in method.cc; and "auto".
std::string MethodName(CalibrationMethod method);
absl::StatusOr<CalibrationMethod> ParseMethod(const std::string& name);

// The plain form of a calibrator: what is stored, sent and reviewed. A value; see Calibrator for its rules.
struct CalibratorSpec {
  struct Parameter {
    std::string name;
    std::vector<double> values;  // one value, or one a class
    friend bool operator==(const Parameter&, const Parameter&) = default;
  };
  CalibrationMethod method = CalibrationMethod::kNone;
  int classes = 2;
  // As the method's file in methods/ has them; docs/calibration.md lists them.
  std::vector<Parameter> parameters;
  // Of prediction sets: none for plain softmax; each of another (score, alpha).
  std::vector<SetThreshold> set_thresholds = {};
  friend bool operator==(const CalibratorSpec&, const CalibratorSpec&) = default;
};

class ProbabilityMap;

// Turns logits into probabilities, by the method of its spec. An immutable value; thread-safe; copies share
// what was read of the spec.
class Calibrator final {
 public:
  // Plain softmax over `classes` >= 2 classes.
  static Calibrator None(int classes);
  // INVALID_ARGUMENT where a parameter is missing, unknown, of the wrong length, not finite or out of its
  // range, or a set threshold is.
  static absl::StatusOr<Calibrator> Create(CalibratorSpec spec);

  const CalibratorSpec& spec() const { return spec_; }
  int classes() const { return spec_.classes; }

  // Writes K float32 probabilities that sum to 1 within rounding. `logits` has K values (or 1 for K = 2: the
  // two-class (0, z)), all finite; INVALID_ARGUMENT names the first that is not, or a wrong length.
  absl::Status Apply(absl::Span<const float> logits, absl::Span<float> probabilities) const;
  // The same for float64 logits, finite and within the range of float32.
  absl::Status ApplyFloat64(absl::Span<const double> logits, absl::Span<float> probabilities) const;

  // The first class in the order of MoreProbable (class_order.h).
  static int PredictedClass(absl::Span<const float> probabilities, absl::Span<const float> logits);
  static int PredictedClassFloat64(absl::Span<const float> probabilities, absl::Span<const double> logits);

 private:
  Calibrator(CalibratorSpec spec, std::shared_ptr<const ProbabilityMap> map);
  template <typename Float>
  absl::Status ApplyAny(absl::Span<const Float> logits, absl::Span<float> probabilities) const;

  CalibratorSpec spec_;
  std::shared_ptr<const ProbabilityMap> map_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_CALIBRATOR_H_
