#include "calibration/gap_process.h"

#include <algorithm>

namespace calserve {

void GapProcess::Push(double gap, double weight, const LogPoint& label) {
  const double payoff = sign_ * gap - tolerance_;
  for (size_t i = 0; i < kLambdas.size(); ++i) bets_[i].Step(1 + kLambdas[i] * payoff, weight, label);
}

double GapProcess::EValue(double waiting) const {
  double sum = 0;
  for (const RestartedBet& bet : bets_) sum += bet.wealth;
  return sum / static_cast<double>(bets_.size()) + waiting;
}

LogPoint GapProcess::ChangePoint() const {
  return std::max_element(bets_.begin(), bets_.end(),
                          [](const RestartedBet& a, const RestartedBet& b) { return a.best < b.best; })
      ->start;
}

}  // namespace calserve
