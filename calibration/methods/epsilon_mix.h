#ifndef CALSERVE_CALIBRATION_METHODS_EPSILON_MIX_H_
#define CALSERVE_CALIBRATION_METHODS_EPSILON_MIX_H_

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "calibration/parameter_reader.h"

namespace calserve {

// p <- (1 - e) p + e / K (probmetrics' ts-mix). Where a fit on separable data makes p all but one-hot, one
// wrong row in the future would cost an unbounded loss; with e = 1 / (n + 1) it costs no more than n right
// ones have earned.
inline void MixInUniform(double epsilon, absl::Span<double> row) {
  if (epsilon == 0) return;
  const double share = epsilon / static_cast<double>(row.size());
  for (double& p : row) p = (1 - epsilon) * p + share;
}

inline double EpsilonOf(int64_t rows) { return 1.0 / static_cast<double>(rows + 1); }

// The optional parameter "epsilon".
inline double ReadEpsilon(ParameterReader* reader) {
  const double epsilon = reader->Has("epsilon") ? reader->Value("epsilon") : 0;
  if (epsilon < 0 || epsilon >= 1) {
    reader->Fail(absl::StrCat("parameter epsilon must be in [0, 1); was ", epsilon));
  }
  return epsilon;
}

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METHODS_EPSILON_MIX_H_
