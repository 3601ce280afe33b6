#ifndef CALSERVE_CALIBRATION_LOGITS_H_
#define CALSERVE_CALIBRATION_LOGITS_H_

#include <algorithm>
#include <cstdint>

#include "absl/types/span.h"

namespace calserve {

// A view of N×K logits, row-major, float32 or float64; does not own them. A binary model with a single logit
// is presented as N×1 and means the two-class (0, z). Thread-safe to read.
class LogitsView {
 public:
  LogitsView() = default;
  // `values` holds N·columns elements; columns >= 1.
  LogitsView(absl::Span<const float> values, int columns)
      : float32_(values.data()), rows_(static_cast<int64_t>(values.size()) / columns), columns_(columns) {}
  LogitsView(absl::Span<const double> values, int columns)
      : float64_(values.data()), rows_(static_cast<int64_t>(values.size()) / columns), columns_(columns) {}

  int64_t rows() const { return rows_; }
  // As stored: 1 for a single-logit binary model.
  int columns() const { return columns_; }
  // Classes meant: 2 for a single-logit binary model.
  int classes() const { return columns_ == 1 ? 2 : columns_; }
  // Copies row i, widened to double, to out[0..classes).
  void Row(int64_t i, double* out) const {
    if (columns_ == 1) *out++ = 0;
    if (float32_ != nullptr) {
      std::copy_n(float32_ + i * columns_, columns_, out);
    } else {
      std::copy_n(float64_ + i * columns_, columns_, out);
    }
  }
  // Logit of class k of row i, widened to double.
  double At(int64_t i, int k) const {
    if (columns_ == 1) return k == 0 ? 0 : Value(i);
    return Value(i * columns_ + k);
  }

 private:
  double Value(int64_t index) const {
    return float32_ != nullptr ? static_cast<double>(float32_[index]) : float64_[index];
  }

  const float* float32_ = nullptr;
  const double* float64_ = nullptr;
  int64_t rows_ = 0;
  int columns_ = 1;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_LOGITS_H_
