#ifndef CALSERVE_CALIBRATION_METHODS_NEWTON_H_
#define CALSERVE_CALIBRATION_METHODS_NEWTON_H_

#include <functional>

#include "Eigen/Core"

namespace calserve {

// A function of a few parameters near a point.
struct LocalModel {
  double value = 0;
  Eigen::VectorXd gradient;
  Eigen::MatrixXd hessian;
};

struct NewtonResult {
  Eigen::VectorXd x;
  double value = 0;
  int iterations = 0;  // evaluations of the function
  bool converged = false;
  bool cancelled = false;
};

// Minimises a smooth function of a few parameters, a mean over rows, from `start`: Newton steps on the
// Hessian, with as much of its diagonal added (Levenberg) as makes them descend. Converged where a whole
// step is below 1e-10 relative, or the gradient below 1e-12, which a minimum at infinity also reaches.
// `keep_going` is asked before each evaluation.
NewtonResult MinimiseByNewton(const std::function<LocalModel(const Eigen::VectorXd&)>& function,
                              const Eigen::VectorXd& start, const std::function<bool()>& keep_going);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METHODS_NEWTON_H_
