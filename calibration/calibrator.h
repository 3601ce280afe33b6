#ifndef CALSERVE_CALIBRATION_CALIBRATOR_H_
#define CALSERVE_CALIBRATION_CALIBRATOR_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace calserve {

enum class CalibrationMethod { kNone, kTemperature, kPlatt, kPlattOneVsRest };

// "none", "temperature", "platt", "platt_one_vs_rest".
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
  // none: nothing. temperature: "temperature" T in [1e-6, 1e6], and "epsilon" e in [0, 1) where the mix is
  // on. platt: "slope" A, "offset" B, on two classes. platt_one_vs_rest: "slope" and "offset", K values each.
  std::vector<Parameter> parameters;
  friend bool operator==(const CalibratorSpec&, const CalibratorSpec&) = default;
};

// Turns logits into probabilities. An immutable value; thread-safe.
//   none         p = softmax(z)
//   temperature  p = (1 - e) softmax(z / T) + e / K                     (Guo et al., 2017; e-mix:
//   probmetrics) platt        p_1 = 1 / (1 + exp(A f + B)), f = z_1 - z_0            (Platt, 1999)
//   platt_one_vs_rest  p_k ∝ 1 / (1 + exp(A_k f_k + B_k)), f = log_softmax(z); uniform where all are 0
// Softmax and temperature never change the predicted class; the Platt forms may.
class Calibrator final {
 public:
  // Plain softmax over `classes` >= 2 classes.
  static Calibrator None(int classes);
  // INVALID_ARGUMENT where a parameter is missing, unknown, of the wrong length, not finite or out of its
  // range.
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
  explicit Calibrator(CalibratorSpec spec);
  // Each moves its parameters out of *left.
  absl::Status Unpack(std::vector<CalibratorSpec::Parameter>* left);
  absl::Status UnpackTemperature(std::vector<CalibratorSpec::Parameter>* left);
  absl::Status UnpackPlatt(size_t length, std::vector<CalibratorSpec::Parameter>* left);
  template <typename Float>
  absl::Status ApplyAny(absl::Span<const Float> logits, absl::Span<float> probabilities) const;

  CalibratorSpec spec_;
  // Parameters unpacked for Apply.
  double inverse_temperature_ = 1;
  double epsilon_ = 0;
  std::vector<double> slopes_;
  std::vector<double> offsets_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_CALIBRATOR_H_
