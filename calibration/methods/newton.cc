#include "calibration/methods/newton.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "Eigen/Cholesky"

namespace calserve {
namespace {

constexpr int kMaxIterations = 200;
constexpr double kStepTolerance = 1e-10;
constexpr double kGradientTolerance = 1e-12;
constexpr double kCertainStep = 1e-6;  // below it the value cannot tell points apart
constexpr double kLeastDamping = 1e-9, kMostDamping = 1e12;

double RelativeSize(const Eigen::VectorXd& step, const Eigen::VectorXd& x) {
  return (step.array().abs() / (1 + x.array().abs())).maxCoeff();
}

// The step of the Hessian with `damping` times its diagonal (and of 1) added; false where that is not
// positive definite.
bool Step(const LocalModel& at, double damping, Eigen::VectorXd* step) {
  Eigen::MatrixXd damped = at.hessian;
  damped.diagonal().array() += damping * (at.hessian.diagonal().array().abs() + kLeastDamping);
  const Eigen::LLT<Eigen::MatrixXd> factor(damped);
  if (factor.info() != Eigen::Success) return false;
  *step = factor.solve(-at.gradient);
  return step->allFinite();
}

}  // namespace

NewtonResult MinimiseByNewton(const std::function<LocalModel(const Eigen::VectorXd&)>& function,
                              const Eigen::VectorXd& start, const std::function<bool()>& keep_going) {
  NewtonResult result;
  result.x = start;
  if (!keep_going()) return {.x = start, .cancelled = true};
  LocalModel at = function(start);
  result.iterations = 1;
  double damping = 0;
  while (result.iterations < kMaxIterations && damping < kMostDamping) {
    if (at.gradient.lpNorm<Eigen::Infinity>() <= kGradientTolerance) {
      result.converged = true;
      break;
    }
    Eigen::VectorXd step;
    if (!Step(at, damping, &step)) {
      damping = std::max(10 * damping, kLeastDamping);
      continue;
    }
    if (!keep_going()) {
      result.cancelled = true;
      break;
    }
    const double size = RelativeSize(step, result.x);
    LocalModel next = function(result.x + step);
    ++result.iterations;
    const bool descends = next.value < at.value + 1e-4 * at.gradient.dot(step);
    const double rounding = 1e-13 * (1 + std::abs(at.value));
    if (!descends && (size > kCertainStep || !(next.value <= at.value + rounding))) {
      damping = std::max(10 * damping, 1e-3);
      continue;
    }
    result.x += step;
    at = std::move(next);
    result.converged = size <= kStepTolerance && damping <= kLeastDamping;
    if (result.converged) break;
    damping = damping <= kLeastDamping ? 0 : damping / 10;
  }
  result.value = at.value;
  return result;
}

}  // namespace calserve
