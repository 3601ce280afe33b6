#ifndef CALSERVE_CALIBRATION_METHODS_ONE_VS_REST_H_
#define CALSERVE_CALIBRATION_METHODS_ONE_VS_REST_H_

#include "absl/types/span.h"
#include "calibration/row_kernels.h"

namespace calserve {

// Divides the row's values, each >= 0, by their sum; uniform where all are 0, as scikit-learn has it.
inline void NormaliseInPlace(absl::Span<double> row) {
  const double sum = Sum(row);
  for (double& p : row) p = sum > 0 ? p / sum : 1.0 / static_cast<double>(row.size());
}

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METHODS_ONE_VS_REST_H_
