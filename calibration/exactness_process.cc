#include "calibration/exactness_process.h"

#include <cmath>

namespace calserve {
namespace {

// Of an outcome that the confidence rules out.
constexpr double kRuledOut = 0x1p-25;

// x^(k/8) for k = 0 to 16.
std::array<double, 17> EighthPowers(double x) {
  const double root = std::sqrt(std::sqrt(std::sqrt(x)));
  std::array<double, 17> powers;
  powers[0] = 1;
  for (size_t k = 1; k < powers.size(); ++k) powers[k] = powers[k - 1] * root;
  return powers;
}

}  // namespace

void ExactnessProcess::Push(double confidence, bool correct, double weight, const LogPoint& label) {
  double happened = correct ? confidence : 1 - confidence;
  double other = correct ? 1 - confidence : confidence;
  if (happened == 0) {
    happened = kRuledOut;
    other = 1 - kRuledOut;
  }
  const std::array<double, 17> of_happened = EighthPowers(happened);
  const std::array<double, 17> of_other = EighthPowers(other);
  for (size_t i = 0; i < bets_.size(); ++i) {
    const double power = of_happened[kEighths[i]];
    bets_[i].Step(power / (power + of_other[kEighths[i]]) / happened, weight, label);
  }
}

double ExactnessProcess::EValue(double waiting) const {
  double sum = 0;
  for (const RestartedBet& bet : bets_) sum += bet.wealth;
  return sum / static_cast<double>(bets_.size()) + waiting;
}

}  // namespace calserve
