#ifndef CALSERVE_CALIBRATION_EXACTNESS_PROCESS_H_
#define CALSERVE_CALIBRATION_EXACTNESS_PROCESS_H_

#include <array>

#include "calibration/restarted_bet.h"

namespace calserve {

// Tests, label by label, that confidences are exactly right:
//   H0: correct_t is Bernoulli(p_t) given the past, where p_t is the confidence.
// The alternatives are recalibrations r = sigmoid(beta logit p) = p^beta / (p^beta + (1-p)^beta), and a bet
// is the likelihood ratio f_t = r/p where the prediction was right, (1-r)/(1-p) where it was wrong, of mean
// exactly 1 under H0 (Henzi and Ziegel, 2022, arXiv 2103.08402). No fitted calibrator is exact: with enough
// labels this finds each of them out. It says how sure that is; it does not say that it matters. The betas
// are eighths, so that p^beta is square roots and products, which are the same on every machine; pow is not.
// O(1) a label.
class ExactnessProcess {
 public:
  static constexpr std::array<int, 10> kEighths = {2, 3, 4, 5, 6, 7, 9, 10, 12, 16};
  using Bets = std::array<RestartedBet, kEighths.size()>;

  // `confidence` in [0, 1]. An outcome that it rules out counts as one of probability 2^-25, which float32
  // rounds to nothing; the one that it is sure of changes nothing.
  void Push(double confidence, bool correct, double weight, const LogPoint& label);
  double EValue(double waiting) const;

  const Bets& bets() const { return bets_; }
  void Restore(const Bets& bets) { bets_ = bets; }

 private:
  Bets bets_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_EXACTNESS_PROCESS_H_
