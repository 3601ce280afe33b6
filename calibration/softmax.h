#ifndef CALSERVE_CALIBRATION_SOFTMAX_H_
#define CALSERVE_CALIBRATION_SOFTMAX_H_

#include "absl/types/span.h"

namespace calserve {

// Replaces z by softmax(beta z) = exp(beta (z - max z)) / sum. Values finite, beta > 0; any magnitude.
void SoftmaxInPlace(double beta, absl::Span<double> values);

// Replaces z by log_softmax(z) = z - log sum exp z. Values finite; any magnitude.
void LogSoftmaxInPlace(absl::Span<double> values);

// log sum exp z, without overflow.
double LogSumExp(absl::Span<const double> values);

// 1 / (1 + exp(t)); 0 and 1 at the infinities.
double LogisticOfMinus(double t);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_SOFTMAX_H_
