// Which true ECEs would show an ECE like the observed one: a test of each, inverted.
//
// The nuisance is how a true ECE spreads over the bins: it decides how far noise raises the ECE that is seen.
// It is estimated anew for each tested value (as hybrid resampling does: Chuang and Lai, 2000), in two ways.
// Shared, as of a model that is overconfident all over: the gaps shrunk towards their mean as a
// random-effects model has it (DerSimonian and Laird, 1986), scaled. Individual, as of a model that is off in
// places: maximum likelihood under sum |gap| = t, which is soft thresholding. Cochran's Q of the gaps is df
// in the mean where bins share one gap, with a standard deviation of sqrt(2 df): the second has no weight up
// to one standard deviation above that, all of it from four on, and in between in proportion.
//
// The ECE is a sum of |Normal|, whose first three cumulants are known, so its distribution is Pearson III
// without a simulation. A value is rejected by the likelihood ratio against what is possible, ECEs of at
// least 0 (the unified approach: Feldman and Cousins, 1998): one-sided where the truth is near 0 and only the
// upper side can be wrong, two-sided far from it.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "calibration/metrics.h"

namespace calserve {
namespace {

constexpr int kBisections = 30;
constexpr int kEndBisections = 14;                      // of an end of the interval
constexpr double kSharedUpTo = 1, kIndividualFrom = 4;  // standard deviations of Q

double NormalCdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

// Where `below`, true up to some point of [low, high] and false from there on, changes.
template <typename Below>
double Bisect(double low, double high, int steps, Below below) {
  for (int i = 0; i < steps; ++i) {
    const double middle = (low + high) / 2;
    (below(middle) ? low : high) = middle;
  }
  return (low + high) / 2;
}

double NormalQuantile(double probability) {
  return Bisect(-40, 40, 60, [&](double z) { return NormalCdf(z) < probability; });
}

// Scores of an observation under a hypothesis that lies `distance` standard deviations from the end of what
// is possible, below and above which it is rejected. With x = distance + z the deviation from that end, the
// log likelihood ratio is -z^2 / 2 where x > 0, and (x^2 - z^2) / 2 below; both ends have the same.
class UnifiedTest {
 public:
  explicit UnifiedTest(double level)
      : level_(level), one_sided_(NormalQuantile(level)), two_sided_(NormalQuantile((1 + level) / 2)) {}

  struct Ends {
    double low, high;
  };
  Ends At(double distance) const {
    if (distance >= two_sided_) return {-two_sided_, two_sided_};
    if (distance < 1e-6) return {-1e6, one_sided_};
    const auto low_of = [&](double high) { return -(high * high + distance * distance) / (2 * distance); };
    const double high = Bisect(one_sided_, two_sided_, kBisections,
                               [&](double z) { return NormalCdf(z) - NormalCdf(low_of(z)) < level_; });
    return {low_of(high), high};
  }

 private:
  double level_, one_sided_, two_sided_;
};

// Pearson's third distribution, by Wilson and Hilferty's cube root (1931).
struct PearsonThree {
  double mean, deviation, skewness;  // skewness >= 0

  // The standard normal score of x.
  double ScoreOf(double x) const {
    const double z = (x - mean) / deviation;
    if (skewness < 1e-3) return z;
    const double u = 1 + z * skewness / 2;
    if (u <= 0) return -1e6;
    return (std::cbrt(u) - 1 + skewness * skewness / 36) * 6 / skewness;
  }
  double Median() const {
    if (skewness < 1e-3) return mean;
    const double u = 1 - skewness * skewness / 36;
    return mean + deviation * (u * u * u - 1) * 2 / skewness;
  }
};

class GapFamily {
 public:
  explicit GapFamily(const CalibrationMetrics& metrics) : rows_(metrics.n_effective) {
    double total = 0;
    for (const ReliabilityBin& bin : metrics.bins) total += bin.count;
    for (const ReliabilityBin& bin : metrics.bins) {
      if (bin.count <= 0) continue;
      const double width = bin.upper - bin.lower;
      bins_.push_back({bin.count / total, bin.confidence, bin.accuracy - bin.confidence, width * width / 12});
    }
    EstimateShape();
  }

  // Of the ECE that is seen where the true one is `ece`: the sum over bins of share |Normal(gap, v / n)|, and
  // what the numbers of rows in the bins, being a sample's, move a mean of |gap| by.
  PearsonThree Distribution(double ece) const {
    const std::vector<double> gaps = Gaps(ece);
    double mean = 0, variance = 0, third = 0, square = 0;
    for (size_t b = 0; b < bins_.size(); ++b) {
      const Bin& bin = bins_[b];
      const double m = bin.share * std::abs(gaps[b]);
      const double v = bin.share * VarianceOfRow(bin, bin.confidence + gaps[b]) / rows_, s = std::sqrt(v);
      // Moments of |Normal(m, v)|.
      const double density = s * std::sqrt(2 / std::numbers::pi) * std::exp(-m * m / (2 * v));
      const double inside = std::erf(m / (s * std::numbers::sqrt2));
      const double first = density + m * inside, second = m * m + v;
      mean += first;
      variance += second - first * first;
      third += density * (m * m + 2 * v) + m * (m * m + 3 * v) * inside - 3 * first * second +
               2 * first * first * first;
      square += bin.share * gaps[b] * gaps[b];
    }
    variance += std::max(0.0, square - ece * ece) / rows_;
    const double deviation = std::sqrt(variance);
    return {mean, deviation, std::max(0.0, third / (variance * deviation))};
  }

 private:
  struct Bin {
    double share, confidence, gap, spread;
  };

  // Of confidence - correct in a bin of that accuracy; never 0.
  static double VarianceOfRow(const Bin& bin, double accuracy) {
    return std::max(accuracy * (1 - accuracy), bin.spread);
  }
  // The gap as far as an accuracy in [0, 1] allows it.
  static double Possible(const Bin& bin, double gap) {
    return std::clamp(bin.confidence + gap, 0.0, 1.0) - bin.confidence;
  }

  // Random effects: each gap's best linear predictor; and the weight of individual gaps.
  void EstimateShape() {
    std::vector<double> variance(bins_.size());
    double weights = 0, squares = 0, mean = 0;
    for (size_t b = 0; b < bins_.size(); ++b) {
      variance[b] = VarianceOfRow(bins_[b], bins_[b].confidence) / (bins_[b].share * rows_);
      weights += 1 / variance[b];
      squares += 1 / (variance[b] * variance[b]);
      mean += bins_[b].gap / variance[b];
    }
    mean /= weights;
    double q = 0;
    for (size_t b = 0; b < bins_.size(); ++b) q += std::pow(bins_[b].gap - mean, 2) / variance[b];
    const double freedom = static_cast<double>(bins_.size() - 1);
    // One bin is its own mean: what is left of q is rounding.
    const double excess = freedom > 0 ? std::max(0.0, q - freedom) : 0;
    const double deviations = excess > 0 ? excess / std::sqrt(2 * freedom) : 0;
    individual_ = std::clamp((deviations - kSharedUpTo) / (kIndividualFrom - kSharedUpTo), 0.0, 1.0);
    const double unequal = weights - squares / weights;
    const double between = excess > 0 && unequal > 0 ? excess / unequal : 0;
    double sum = 0, sum_of_weights = 0;
    for (size_t b = 0; b < bins_.size(); ++b) {
      sum += bins_[b].gap / (variance[b] + between);
      sum_of_weights += 1 / (variance[b] + between);
    }
    const double common = sum / sum_of_weights;
    for (size_t b = 0; b < bins_.size(); ++b) {
      shape_.push_back(common + between / (between + variance[b]) * (bins_[b].gap - common));
    }
    if (TotalOf(shape_) == 0) shape_.assign(bins_.size(), -1);
  }

  double TotalOf(const std::vector<double>& gaps) const {
    double total = 0;
    for (size_t b = 0; b < bins_.size(); ++b) total += bins_[b].share * std::abs(gaps[b]);
    return total;
  }

  // The bins' gaps where they sum to `ece`, or as near as accuracies allow.
  std::vector<double> Gaps(double ece) const {
    std::vector<double> gaps(bins_.size(), 0);
    if (ece <= 0) return gaps;
    gaps = Shared(ece);
    if (individual_ > 0) {
      const std::vector<double> own = Individual(ece);
      for (size_t b = 0; b < gaps.size(); ++b) gaps[b] += individual_ * (own[b] - gaps[b]);
    }
    const double total = TotalOf(gaps);
    if (total > 0) {
      for (size_t b = 0; b < gaps.size(); ++b) gaps[b] = Possible(bins_[b], gaps[b] * ece / total);
    }
    return gaps;
  }

  std::vector<double> Shared(double ece) const {
    const auto at = [&](double factor) {
      std::vector<double> gaps = shape_;
      for (size_t b = 0; b < gaps.size(); ++b) gaps[b] = Possible(bins_[b], factor * gaps[b]);
      return gaps;
    };
    const double factor = ece / TotalOf(shape_);
    std::vector<double> gaps = at(factor);
    if (TotalOf(gaps) >= ece * (1 - 1e-9)) return gaps;
    return at(Bisect(factor, 64 * factor, kBisections, [&](double f) { return TotalOf(at(f)) < ece; }));
  }

  // |gap| less a multiple of its variance (more, for an ECE above the observed one), at least 0.
  std::vector<double> Individual(double ece) const {
    const auto at = [&](const Bin& bin, double multiple) {
      const double size = std::abs(bin.gap) - multiple * VarianceOfRow(bin, bin.confidence);
      return Possible(bin, std::copysign(std::max(0.0, size), bin.gap));
    };
    const double multiple = Bisect(-50, 50, kBisections, [&](double m) {
      double total = 0;
      for (const Bin& bin : bins_) total += bin.share * std::abs(at(bin, m));
      return total > ece;
    });
    std::vector<double> gaps;
    for (const Bin& bin : bins_) gaps.push_back(at(bin, multiple));
    return gaps;
  }

  double rows_;
  std::vector<Bin> bins_;
  std::vector<double> shape_;
  double individual_ = 0;
};

}  // namespace

void AddEceInterval(CalibrationMetrics* metrics, double level) {
  if (metrics->n == 0) return;
  const double ece = metrics->ece;
  const GapFamily family(*metrics);
  const UnifiedTest test(level);
  const double median_of_calibrated = family.Distribution(0).Median();
  // Below 0 where `truth` is too high for the observed ECE, above where it is too low, 0 where it may be.
  const auto judge = [&](double truth) {
    const PearsonThree distribution = family.Distribution(truth);
    const UnifiedTest::Ends ends = test.At(-distribution.ScoreOf(median_of_calibrated));
    const double score = distribution.ScoreOf(ece);
    return score < ends.low ? -1 : score > ends.high ? 1 : 0;
  };
  double low = 0;
  if (judge(0) > 0) low = Bisect(0, ece, kEndBisections, [&](double truth) { return judge(truth) > 0; });
  double high = 1;
  if (judge(1) < 0) high = Bisect(0, 1, kEndBisections, [&](double truth) { return judge(truth) >= 0; });
  metrics->ece_low = std::clamp(low, 0.0, ece);
  metrics->ece_high = std::clamp(high, ece, 1.0);
}

}  // namespace calserve
