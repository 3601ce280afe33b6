#include "calibration/methods/newton.h"

#include <gtest/gtest.h>

#include <cmath>

namespace calserve {
namespace {

bool GoOn() { return true; }

// (1 - x)^2 + 100 (y - x^2)^2, whose Hessian is indefinite on the way (Rosenbrock, 1960).
LocalModel Rosenbrock(const Eigen::VectorXd& p) {
  const double x = p[0], y = p[1], u = y - x * x;
  LocalModel model;
  model.value = (1 - x) * (1 - x) + 100 * u * u;
  model.gradient = Eigen::Vector2d(-2 * (1 - x) - 400 * x * u, 200 * u);
  model.hessian = (Eigen::Matrix2d() << 2 - 400 * u + 800 * x * x, -400 * x, -400 * x, 200).finished();
  return model;
}

TEST(NewtonTest, FindsTheBottomOfABentValley) {
  const NewtonResult result = MinimiseByNewton(Rosenbrock, Eigen::Vector2d(-1.2, 1), GoOn);
  EXPECT_TRUE(result.converged);
  EXPECT_NEAR(result.x[0], 1, 1e-12);
  EXPECT_NEAR(result.x[1], 1, 1e-12);
  EXPECT_LT(result.iterations, 60);
}

TEST(NewtonTest, AFlatDirectionKeepsItsStart) {
  const auto function = [](const Eigen::VectorXd& p) {
    return LocalModel{(p[0] - 3) * (p[0] - 3), Eigen::Vector2d(2 * (p[0] - 3), 0),
                      Eigen::Vector2d(2, 0).asDiagonal().toDenseMatrix()};
  };
  const NewtonResult result = MinimiseByNewton(function, Eigen::Vector2d(0, 7), GoOn);
  EXPECT_TRUE(result.converged);
  EXPECT_NEAR(result.x[0], 3, 1e-9);
  EXPECT_EQ(result.x[1], 7);
}

TEST(NewtonTest, AMinimumAtInfinityIsApproachedAndLeftThere) {
  const auto function = [](const Eigen::VectorXd& p) {
    const double e = std::exp(-p[0]);
    return LocalModel{e, Eigen::VectorXd::Constant(1, -e), Eigen::MatrixXd::Constant(1, 1, e)};
  };
  const NewtonResult result = MinimiseByNewton(function, Eigen::VectorXd::Zero(1), GoOn);
  EXPECT_TRUE(result.converged);
  EXPECT_NEAR(result.x[0], 28, 1) << "-ln of the gradient's tolerance";
}

TEST(NewtonTest, StopsWhereItIsToldTo) {
  int asked = 0;
  const NewtonResult result =
      MinimiseByNewton(Rosenbrock, Eigen::Vector2d(-1.2, 1), [&] { return ++asked < 5; });
  EXPECT_TRUE(result.cancelled);
  EXPECT_FALSE(result.converged);
  EXPECT_EQ(result.iterations, 4);
}

}  // namespace
}  // namespace calserve
