#ifndef CALSERVE_CALIBRATION_METHOD_H_
#define CALSERVE_CALIBRATION_METHOD_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/calibrator.h"
#include "calibration/labelled_rows.h"
#include "calibration/parameter_reader.h"

namespace calserve {

// What a calibrator computes, its parameters read. Immutable; thread-safe.
class ProbabilityMap {
 public:
  virtual ~ProbabilityMap() = default;
  // Replaces K finite logits, of float32's range, by K probabilities that sum to 1 within rounding.
  virtual void Apply(absl::Span<double> row) const = 0;
};

// What a fit on some rows found.
struct Fitted {
  CalibratorSpec spec;
  bool converged = true;
  int iterations = 0;
  bool at_bound = false;  // as FitReport's
};

// Told the share of the fit that is done; false cancels it. Never null.
using FitProgress = std::function<bool(double fraction)>;

absl::Status FitCancelled();

// A calibration method. Its fit and what it applies stand together in one file of methods/; everything else
// goes by this table.
struct Method {
  CalibrationMethod id;
  const char* name;
  bool two_classes_only;
  // Fitted in its place on more than two classes; itself where any number will do, or nothing can stand in.
  CalibrationMethod on_more_classes;
  // The predicted class is always argmax of the logits.
  bool keeps_prediction;
  // What a fit takes beside the logits, for each of them; what grows with rows or classes alone is not
  // counted.
  int bytes_per_logit = 0;
  // Reads the parameters of a spec for `classes`. Errors go to the reader, and what is returned then is not
  // used.
  std::unique_ptr<const ProbabilityMap> (*read)(int classes, ParameterReader* reader);
  // Fits to one or more checked rows. The spec passes Calibrator::Create.
  absl::StatusOr<Fitted> (*fit)(const LabelledRows& data, const FitProgress& progress);
};

// Bytes that a fit to so many rows takes beside their logits.
int64_t BytesOfFit(const Method& method, int64_t rows, int classes);
// FAILED_PRECONDITION where that is more than `max_bytes`, if it is not 0.
absl::Status CheckBytesOfFit(const Method& method, int64_t rows, int classes, int64_t max_bytes);

// Every method, in order of simplicity.
absl::Span<const Method> AllMethods();
// Null for a value that is no method.
const Method* FindMethod(CalibrationMethod id);
// INVALID_ARGUMENT unless the method can be applied to `classes`; says what to take instead.
absl::Status CheckClassesOf(const Method& method, int classes);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METHOD_H_
