#include "calibration/metrics/classwise.h"

#include <cmath>
#include <cstddef>

namespace calserve {

ClasswiseSums::ClasswiseSums(int classes, int bins, double threshold)
    : edges_(bins), threshold_(threshold), sums_(static_cast<size_t>(classes) * bins), labels_(classes) {}

void ClasswiseSums::Add(absl::Span<const float> probabilities, int label) {
  const size_t bins = edges_.bins();
  for (size_t k = 0; k < probabilities.size(); ++k) {
    const double p = probabilities[k];
    if (p < threshold_) continue;
    Sum& sum = sums_[k * bins + edges_.IndexOf(p)];
    sum.rows += 1;
    sum.probability += p;
    sum.of_class += static_cast<int>(k) == label ? 1 : 0;
  }
  ++labels_[label];
}

double ClasswiseSums::CalibrationError() const {
  const size_t bins = edges_.bins();
  double total = 0;
  int classes = 0;
  for (size_t k = 0; k < labels_.size(); ++k) {
    double rows = 0, gaps = 0;
    for (const Sum& sum : absl::MakeConstSpan(sums_).subspan(k * bins, bins)) {
      rows += sum.rows;
      gaps += std::abs(sum.of_class - sum.probability);
    }
    if (rows == 0) continue;
    total += gaps / rows;
    ++classes;
  }
  return classes == 0 ? 0 : total / classes;
}

std::vector<ReliabilityBin> ClasswiseSums::ReliabilityOf(int k) const {
  const size_t bins = edges_.bins();
  std::vector<ReliabilityBin> out(bins);
  for (size_t b = 0; b < bins; ++b) {
    const Sum& sum = sums_[static_cast<size_t>(k) * bins + b];
    out[b].lower = static_cast<double>(b) / static_cast<double>(bins);
    out[b].upper = static_cast<double>(b + 1) / static_cast<double>(bins);
    if (sum.rows == 0) continue;
    out[b].count = sum.rows;
    out[b].confidence = sum.probability / sum.rows;
    out[b].accuracy = sum.of_class / sum.rows;
  }
  return out;
}

ClasswiseSums::BrierParts ClasswiseSums::Decompose(double brier) const {
  double rows = 0;
  for (const int64_t labels : labels_) rows += static_cast<double>(labels);
  BrierParts parts;
  if (rows == 0) return parts;
  for (const Sum& sum : sums_) {
    if (sum.rows == 0) continue;
    const double share = sum.rows / rows, frequency = sum.of_class / sum.rows;
    parts.calibration += share * std::pow(sum.probability / sum.rows - frequency, 2);
    parts.refinement += share * frequency * (1 - frequency);
  }
  for (const int64_t labels : labels_) {
    const double share = static_cast<double>(labels) / rows;
    parts.uncertainty += share * (1 - share);
  }
  parts.within_bins = brier - parts.calibration - parts.refinement;
  return parts;
}

}  // namespace calserve
