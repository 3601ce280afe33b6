#ifndef CALSERVE_CALIBRATION_METHODS_READ_TEMPERATURE_H_
#define CALSERVE_CALIBRATION_METHODS_READ_TEMPERATURE_H_

#include "absl/strings/str_cat.h"
#include "calibration/parameter_reader.h"

namespace calserve {

// The parameter "temperature", in [1e-6, 1e6]: beyond it a product with a float32 logit could overflow to
// 0 · infinity.
inline double ReadTemperature(ParameterReader* reader) {
  const double temperature = reader->Value("temperature");
  if (temperature < 1e-6 || temperature > 1e6) {
    reader->Fail(absl::StrCat("parameter temperature must be in [1e-6, 1e6]; was ", temperature));
  }
  return temperature;
}

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METHODS_READ_TEMPERATURE_H_
