#ifndef CALSERVE_CALIBRATION_GAP_PROCESS_H_
#define CALSERVE_CALIBRATION_GAP_PROCESS_H_

#include <array>

#include "calibration/restarted_bet.h"

namespace calserve {

// Which way confidences are off: OVERconfident where they are above the share that is right.
enum class GapDirection { kOverconfident, kUnderconfident };

// Tests, label by label, that the gap in one direction is within a tolerance tau, whatever the past was:
//   H0: E[s (confidence_t - correct_t) | past] <= tau   with s = +1 (kOverconfident) or -1.
// The bets are f_t = 1 + lambda (s (confidence_t - correct_t) - tau) for a grid of fixed lambda, each
// restarted at every label; their mean, by equal shares, stakes what did well so far, and stays predictable.
// The payoff is at least -1 - tau, so f_t > 0 while lambda (1 + tau) < 1, and E[f_t | past] <= 1 under H0.
// (Waudby-Smith and Ramdas, 2024, "Estimating means of bounded random variables by betting"; the restarts are
// restarted_bet.h's.) O(1) a label.
class GapProcess {
 public:
  // 3/4 (1 + kMaxTolerance) < 1.
  static constexpr double kMaxTolerance = 0.25;
  // The best lambda against a gap g is about (g - tau) / variance; a factor of two off costs little.
  static constexpr std::array<double, 7> kLambdas = {0.015625, 0.03125, 0.0625, 0.125, 0.25, 0.5, 0.75};
  using Bets = std::array<RestartedBet, kLambdas.size()>;

  // `tolerance` in [0, kMaxTolerance].
  GapProcess(GapDirection direction, double tolerance)
      : sign_(direction == GapDirection::kOverconfident ? 1 : -1), tolerance_(tolerance) {}

  // Counts a label: `gap` is confidence - correct, `weight` what starts with it.
  void Push(double gap, double weight, const LogPoint& label);

  // The e-value; `waiting` is the wealth that has not started.
  double EValue(double waiting) const;
  // The label with which the gap most likely began, if there is one.
  LogPoint ChangePoint() const;

  const Bets& bets() const { return bets_; }
  void Restore(const Bets& bets) { bets_ = bets; }

 private:
  double sign_;
  double tolerance_;
  Bets bets_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_GAP_PROCESS_H_
