#ifndef CALSERVE_CALIBRATION_CLASS_ORDER_H_
#define CALSERVE_CALIBRATION_CLASS_ORDER_H_

#include <cstddef>

#include "absl/types/span.h"

namespace calserve {

// The order of one row's classes, a strict total order of their indices for sorting: the larger probability
// first; equal ones by the larger logit, then by the lower index. `logits` may be K long, or 1 long for K = 2
// (the two-class (0, z)). Views into both.
template <typename Float>
class MoreProbable {
 public:
  MoreProbable(absl::Span<const float> probabilities, absl::Span<const Float> logits)
      : probabilities_(probabilities), logits_(logits) {}

  // Whether class `a` comes before class `b`.
  bool operator()(size_t a, size_t b) const {
    if (probabilities_[a] != probabilities_[b]) return probabilities_[a] > probabilities_[b];
    const Float logit_a = LogitOf(a), logit_b = LogitOf(b);
    return logit_a != logit_b ? logit_a > logit_b : a < b;
  }

 private:
  Float LogitOf(size_t k) const {
    if (logits_.size() > 1) return logits_[k];
    return k == 0 ? Float{0} : logits_[0];
  }

  absl::Span<const float> probabilities_;
  absl::Span<const Float> logits_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_CLASS_ORDER_H_
