#include "calibration/row_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "calibration/wide_vectors.h"

namespace calserve {
namespace {

constexpr size_t kLanes = 4;

constexpr double kSmallest = -708.0;  // exp of it is still a normal number

// exp(x) = 2^k exp(r), |r| <= ln(2) / 2, with the rational approximation of Cephes (Moshier, `exp.c`):
// exp(r) = 1 + 2 r P(r^2) / (Q(r^2) - r P(r^2)).
inline double ExpOne(double x) {
  constexpr double kLog2E = 1.4426950408889634074;
  constexpr double kLn2High = 6.93145751953125e-1;  // k times it is exact
  constexpr double kLn2Low = 1.42860682030941723212e-6;
  constexpr double kRound = 0x1.8p52;  // adding it rounds to an integer, left in the low bits
  const double clamped = x < kSmallest ? kSmallest : x;
  const double shifted = clamped * kLog2E + kRound;
  const double k = shifted - kRound;
  const double r = (clamped - k * kLn2High) - k * kLn2Low;
  const double r2 = r * r;
  const double p = r * ((1.26177193074810590878e-4 * r2 + 3.02994407707441961300e-2) * r2 + 1.0);
  const double q =
      ((3.00198505138664455042e-6 * r2 + 2.52448340349684104192e-3) * r2 + 2.27265548208155028766e-1) * r2 +
      2.0;
  const double power = std::bit_cast<double>((std::bit_cast<uint64_t>(shifted) + 1023) << 52);  // 2^k
  const double result = (1.0 + 2.0 * (p / (q - p))) * power;
  return x < kSmallest ? 0.0 : result;
}

// Four doubles that the compiler keeps in registers.
using Lanes = double __attribute__((vector_size(kLanes * sizeof(double))));

double Total(const Lanes& lanes) { return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); }

}  // namespace

CALSERVE_WIDE_VECTORS
void ExpOfNonPositive(absl::Span<double> values) {
  double* const x = values.data();
  const size_t n = values.size();
  for (size_t i = 0; i < n; ++i) x[i] = ExpOne(x[i]);
}

double Sum(absl::Span<const double> values) {
  Lanes partial = {};
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) partial[lane] += values[i + lane];
  }
  for (; i < values.size(); ++i) partial[0] += values[i];
  return Total(partial);
}

double Max(absl::Span<const double> values) {
  double largest[kLanes];
  std::fill_n(largest, kLanes, values[0]);
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) largest[lane] = std::max(largest[lane], values[i + lane]);
  }
  for (; i < values.size(); ++i) largest[0] = std::max(largest[0], values[i]);
  return std::max(std::max(largest[0], largest[1]), std::max(largest[2], largest[3]));
}

CALSERVE_WIDE_VECTORS
Moments WeightedMoments(absl::Span<const double> weights, absl::Span<const double> z) {
  Lanes zeroth = {}, first = {}, second = {}, third = {};
  const size_t n = z.size();
  size_t k = 0;
  for (; k + kLanes <= n; k += kLanes) {
    Lanes w, x;
    std::memcpy(&w, weights.data() + k, sizeof(w));
    std::memcpy(&x, z.data() + k, sizeof(x));
    const Lanes w1 = w * x;
    const Lanes w2 = w1 * x;
    zeroth += w;
    first += w1;
    second += w2;
    third += w2 * x;
  }
  for (; k < n; ++k) {
    const double w1 = weights[k] * z[k];
    const double w2 = w1 * z[k];
    zeroth[0] += weights[k];
    first[0] += w1;
    second[0] += w2;
    third[0] += w2 * z[k];
  }
  return {Total(zeroth), Total(first), Total(second), Total(third)};
}

namespace {

// As many rows at a time: what their exponentials take stays in the first cache, and the product of their 1 +
// e, each at most 2, far below the largest number.
constexpr size_t kBlock = 256;

// Adds a block of at most kBlock rows, a multiple of kLanes.
[[gnu::always_inline]] inline void AddLogistic(const double* a, const double* b, const double* x,
                                               const double* e, size_t n, LogisticSums* sums,
                                               double* product) {
  Lanes p = {}, pa = {}, pb = {}, w = {}, wa = {}, wb = {}, waa = {}, wab = {}, wbb = {}, positive = {};
  Lanes one = {1, 1, 1, 1}, zero = {}, factors = one;
  for (size_t i = 0; i < n; i += kLanes) {
    Lanes va, vb, vx, ve;
    std::memcpy(&va, a + i, sizeof(va));
    std::memcpy(&vb, b + i, sizeof(vb));
    std::memcpy(&vx, x + i, sizeof(vx));
    std::memcpy(&ve, e + i, sizeof(ve));
    const Lanes sum = one + ve;
    const Lanes inverse = one / sum;
    const Lanes vp = (vx >= zero ? one : ve) * inverse;
    const Lanes vw = ve * inverse * inverse;
    const Lanes vwa = vw * va, vwb = vw * vb;
    p += vp;
    pa += vp * va;
    pb += vp * vb;
    w += vw;
    wa += vwa;
    wb += vwb;
    waa += vwa * va;
    wab += vwa * vb;
    wbb += vwb * vb;
    positive += vx >= zero ? vx : zero;
    factors *= sum;
  }
  sums->p += Total(p);
  sums->pa += Total(pa);
  sums->pb += Total(pb);
  sums->w += Total(w);
  sums->wa += Total(wa);
  sums->wb += Total(wb);
  sums->waa += Total(waa);
  sums->wab += Total(wab);
  sums->wbb += Total(wbb);
  sums->softplus += Total(positive);
  *product = factors[0] * factors[1] * factors[2] * factors[3];
}

}  // namespace

CALSERVE_WIDE_VECTORS
LogisticSums SumLogistic(absl::Span<const double> a, absl::Span<const double> b, double alpha, double beta,
                         double gamma) {
  LogisticSums sums;
  double xs[kBlock], es[kBlock], as[kBlock], bs[kBlock] = {};
  for (size_t begin = 0; begin < a.size(); begin += kBlock) {
    const size_t n = a.size() - begin < kBlock ? a.size() - begin : kBlock;
    std::copy_n(a.data() + begin, n, as);
    if (!b.empty()) std::copy_n(b.data() + begin, n, bs);
    for (size_t i = 0; i < n; ++i) {
      xs[i] = alpha * as[i] + beta * bs[i] + gamma;
      es[i] = xs[i] >= 0 ? -xs[i] : xs[i];
    }
    for (size_t i = 0; i < n; ++i) es[i] = ExpOne(es[i]);
    // What fills the last lanes adds nothing: p = w = 0 and log(1 + 0) = 0.
    const size_t filled = (n + kLanes - 1) / kLanes * kLanes;
    for (size_t i = n; i < filled; ++i) xs[i] = -1, es[i] = as[i] = bs[i] = 0;
    double product = 1;
    AddLogistic(as, bs, xs, es, filled, &sums, &product);
    sums.softplus += std::log(product);
  }
  return sums;
}

}  // namespace calserve
