#ifndef CALSERVE_CALIBRATION_ROW_KERNELS_H_
#define CALSERVE_CALIBRATION_ROW_KERNELS_H_

#include "absl/types/span.h"

namespace calserve {

// Loops over the classes of one row, where nearly all time of this library is spent.

// Replaces every x by exp(x), to within 1 ulp; every x <= 0, -infinity allowed. exp(0) is exactly 1, no
// result is above 1, and what would be below exp(-708) is 0. An element's result does not depend on its
// place: the compiler vectorises the loop, but the arithmetic is the same in every lane and on every machine,
// which cannot be said of std::exp beside a vector library's.
void ExpOfNonPositive(absl::Span<double> values);

// The sum of the values, in a fixed order (four interleaved partial sums).
double Sum(absl::Span<const double> values);

// The largest of one or more values.
double Max(absl::Span<const double> values);

// sum_k w_k z_k^j for j = 0, 1, 2, 3.
struct Moments {
  double zeroth = 0, first = 0, second = 0, third = 0;
};
Moments WeightedMoments(absl::Span<const double> weights, absl::Span<const double> z);

// Sums over rows of features a and b that a Newton step for a logistic model takes, with x = alpha a + beta b
// + gamma, p = 1 / (1 + exp(-x)) and w = p (1 - p). The cross-entropy against targets t is softplus - sum t
// x.
struct LogisticSums {
  double p = 0, pa = 0, pb = 0;                             // of p, p a, p b
  double w = 0, wa = 0, wb = 0, waa = 0, wab = 0, wbb = 0;  // of w, w a, ...
  double softplus = 0;                                      // of log(1 + exp(x))
};

// `a` and `b` have one value a row; b may be empty: then it counts as 0, and its sums are 0.
LogisticSums SumLogistic(absl::Span<const double> a, absl::Span<const double> b, double alpha, double beta,
                         double gamma);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_ROW_KERNELS_H_
