#include "calibration/softmax.h"

#include <cmath>
#include <vector>

#include "calibration/row_kernels.h"

namespace calserve {

void SoftmaxInPlace(double beta, absl::Span<double> values) {
  const double max = Max(values);
  for (double& value : values) value = beta * (value - max);
  ExpOfNonPositive(values);
  const double sum = Sum(values);
  for (double& value : values) value /= sum;
}

double LogSumExp(absl::Span<const double> values) {
  const double max = Max(values);
  std::vector<double> shifted(values.begin(), values.end());
  for (double& value : shifted) value -= max;
  ExpOfNonPositive(absl::MakeSpan(shifted));
  return max + std::log(Sum(shifted));
}

void LogSoftmaxInPlace(absl::Span<double> values) {
  const double log_sum = LogSumExp(values);
  for (double& value : values) value -= log_sum;
}

double LogisticOfMinus(double t) {
  const double e = std::exp(-std::abs(t));
  return t > 0 ? e / (1 + e) : 1 / (1 + e);
}

}  // namespace calserve
