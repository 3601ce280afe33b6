#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>
#include <vector>

#include "calibration/metrics.h"

namespace calserve {
namespace {

// The ECE's sampling distribution when every bin's true gap (accuracy - confidence) is `scale` times the
// observed one. At scale 0 the model is calibrated and the ECE is pure noise; at 1 the observed gaps are
// real. The same normal deviates serve every scale, so that quantiles move smoothly with it.
class GapFamily {
 public:
  GapFamily(const CalibrationMetrics& metrics, int draws) : sample_(draws) {
    double total = 0;
    for (const ReliabilityBin& bin : metrics.bins) total += bin.count;
    const double rows_per_weight = metrics.n_effective / total;
    for (const ReliabilityBin& bin : metrics.bins) {
      if (bin.count <= 0) continue;
      const double width = bin.upper - bin.lower;
      bins_.push_back({bin.count / total, bin.count * rows_per_weight, bin.confidence,
                       bin.accuracy - bin.confidence, width * width / 12});
    }
    rows_ = metrics.n_effective;
    DrawNormals();
  }

  // sum_b (n_b / N) |a_b(scale) - c_b|
  double TrueEce(double scale) const {
    double ece = 0;
    for (const Bin& bin : bins_) ece += bin.share * std::abs(AccuracyAt(bin, scale) - bin.confidence);
    return ece;
  }

  // The quantile of the ECE when
  //   bin accuracies are drawn from Normal(a, (a (1 - a) + w^2 / 12) / n), a = a_b(scale), the second term
  //   being the spread of confidences within a bin of width w, and the numbers of rows in the bins are those
  //   of a sample, which moves a mean of |gap| by its own standard error.
  double Quantile(double scale, double probability) {
    const double ece = TrueEce(scale);
    double square = 0;
    for (const Bin& bin : bins_) square += bin.share * std::pow(AccuracyAt(bin, scale) - bin.confidence, 2);
    const double between_bins = std::sqrt(std::max(0.0, square - ece * ece) / rows_);

    const double* normal = normals_.data();
    for (double& sample : sample_) sample = between_bins * *normal++;
    for (const Bin& bin : bins_) {
      const double accuracy = AccuracyAt(bin, scale);
      const double deviation = std::sqrt((accuracy * (1 - accuracy) + bin.spread) / bin.rows);
      const double gap = accuracy - bin.confidence;
      for (double& sample : sample_) sample += bin.share * std::abs(gap + deviation * *normal++);
    }
    const auto rank =
        sample_.begin() + static_cast<int64_t>(probability * static_cast<double>(sample_.size() - 1));
    std::nth_element(sample_.begin(), rank, sample_.end());
    return *rank;
  }

 private:
  struct Bin {
    double share, rows, confidence, gap, spread;
  };

  static double AccuracyAt(const Bin& bin, double scale) {
    return std::clamp(bin.confidence + scale * bin.gap, 0.0, 1.0);
  }

  // Box-Muller over a generator that every standard library computes alike.
  void DrawNormals() {
    std::mt19937_64 generator(20170806);
    const auto uniform = [&] { return (static_cast<double>(generator() >> 11) + 0.5) * 0x1p-53; };
    normals_.resize(((bins_.size() + 1) * sample_.size() + 1) / 2 * 2);
    for (size_t i = 0; i < normals_.size(); i += 2) {
      const double radius = std::sqrt(-2 * std::log(uniform()));
      const double angle = 2 * std::numbers::pi * uniform();
      normals_[i] = radius * std::cos(angle);
      normals_[i + 1] = radius * std::sin(angle);
    }
  }

  double rows_;
  std::vector<Bin> bins_;
  std::vector<double> normals_;
  std::vector<double> sample_;
};

// What one scale for all gaps leaves out costs a few percent of coverage; half the tail gives it back.
constexpr double kTailShare = 0.5;
constexpr int kBisections = 12;
constexpr double kMaxScale = 64;

// The scale in [low, high] at which the quantile reaches `ece`.
double ScaleWhereQuantileIs(double ece, double probability, double low, double high, GapFamily* family) {
  for (int i = 0; i < kBisections; ++i) {
    const double middle = (low + high) / 2;
    (family->Quantile(middle, probability) < ece ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

void AddEceInterval(CalibrationMetrics* metrics, double level, int draws) {
  if (metrics->n == 0) return;
  const double ece = metrics->ece;
  const double tail = kTailShare * (1 - level) / 2;
  GapFamily family(*metrics, draws);

  double low = 0;
  if (family.Quantile(0, 1 - tail) < ece) {
    low = family.TrueEce(ScaleWhereQuantileIs(ece, 1 - tail, 0, 1, &family));
  }
  double scale = 1;
  while (scale < kMaxScale && family.Quantile(scale, tail) < ece) scale *= 2;
  const double high =
      std::max(family.TrueEce(ScaleWhereQuantileIs(ece, tail, 0, scale, &family)),
               2 * ece - family.Quantile(1, tail));  // where accuracies of 0 or 1 end the family

  metrics->ece_low = std::clamp(low, 0.0, ece);
  metrics->ece_high = std::clamp(high, ece, 1.0);
}

}  // namespace calserve
