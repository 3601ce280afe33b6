#ifndef CALSERVE_CALIBRATION_PARAMETER_READER_H_
#define CALSERVE_CALIBRATION_PARAMETER_READER_H_

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "calibration/calibrator.h"

namespace calserve {

// Takes the parameters out of a spec by name. The first error is kept and later reads return zeros, so that a
// method reads all of them and the caller asks once.
class ParameterReader {
 public:
  explicit ParameterReader(const CalibratorSpec& spec) : spec_(spec), left_(spec.parameters) {}

  bool Has(const std::string& name) const;
  // One finite value.
  double Value(const std::string& name);
  // `length` finite values, none of them beyond `limit` in magnitude: it keeps sums and products from
  // infinity.
  std::vector<double> Values(const std::string& name, size_t length,
                             double limit = std::numeric_limits<double>::max());
  // Any number of finite values.
  std::vector<double> Values(const std::string& name);

  // For what a method asks of its values besides: a sentence with the rule and the value.
  void Fail(const std::string& what);
  // INVALID_ARGUMENT for the first error, or for a parameter that nobody took.
  absl::Status Finish() const;

 private:
  const CalibratorSpec& spec_;
  std::vector<CalibratorSpec::Parameter> left_;
  absl::Status error_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_PARAMETER_READER_H_
