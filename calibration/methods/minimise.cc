#include "calibration/methods/minimise.h"

#include <nlopt.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

namespace calserve {
namespace {

constexpr int kMaxEvaluations = 2000;

// What NLopt calls back, and the lowest point that it has seen: a search that ends on rounding may return
// another one.
struct Search {
  const SmoothFunction& function;
  const std::function<bool()>& keep_going;
  nlopt_opt optimiser;
  Minimum best;
  double lowest = std::numeric_limits<double>::infinity();
};

double LargestOf(absl::Span<const double> values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

double Evaluate(unsigned size, const double* x, double* gradient, void* data) {
  Search& search = *static_cast<Search*>(data);
  if (!search.keep_going()) {
    search.best.cancelled = true;
    nlopt_force_stop(search.optimiser);
    return search.lowest;
  }
  std::vector<double> own;
  if (gradient == nullptr) own.resize(size), gradient = own.data();
  const double value = search.function({x, size}, {gradient, size});
  ++search.best.iterations;
  if (value < search.lowest) {
    search.lowest = value;
    search.best.x.assign(x, x + size);
    search.best.gradient = LargestOf({gradient, size});
  }
  return value;
}

}  // namespace

Minimum MinimiseByLbfgs(const SmoothFunction& function, std::vector<double> start,
                        const std::function<bool()>& keep_going) {
  const std::unique_ptr<nlopt_opt_s, void (*)(nlopt_opt)> optimiser(
      nlopt_create(NLOPT_LD_LBFGS, static_cast<unsigned>(start.size())), nlopt_destroy);
  Search search{function, keep_going, optimiser.get(), {.x = start}};
  nlopt_set_min_objective(optimiser.get(), Evaluate, &search);
  nlopt_set_maxeval(optimiser.get(), kMaxEvaluations);
  double value = 0;
  // The result code is of no use: a search that can go no lower for rounding ends as a failure. The gradient
  // says how near it came.
  nlopt_optimize(optimiser.get(), start.data(), &value);
  return std::move(search.best);
}

}  // namespace calserve
