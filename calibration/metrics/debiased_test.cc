#include "calibration/metrics/debiased_test.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <utility>
#include <vector>

#include "calibration/bin_edges.h"
#include "calibration/metrics.h"

namespace calserve {
namespace {

// Rows that share a bin, and what T needs of them: u^2 = c^2 + y (1 - 2c), with y whether right.
struct TestBin {
  std::vector<double> confidences;
  double confidence = 0, square = 0;  // sums of c and of c^2

  // The bin's term of T, without 1/n, for `right` right rows with the sum `turned` of 1 - 2c.
  double Term(double right, double turned) const {
    const double sum = right - confidence;
    return (sum * sum - square - turned) / static_cast<double>(confidences.size());
  }
};

double Draw(const std::vector<TestBin>& bins, std::mt19937_64* generator) {
  double statistic = 0;
  for (const TestBin& bin : bins) {
    double right = 0, turned = 0;
    for (const double c : bin.confidences) {
      const double uniform = static_cast<double>((*generator)() >> 11) * 0x1p-53;
      const double y = uniform < c ? 1 : 0;
      right += y;
      turned += y * (1 - 2 * c);
    }
    statistic += bin.Term(right, turned);
  }
  return statistic;
}

}  // namespace

int DebiasedTestBins(int64_t n) {
  return static_cast<int>(
      std::clamp(std::round(std::pow(static_cast<double>(n), 0.4)), 1.0, static_cast<double>(kMaxBins)));
}

CalibrationTestResult DebiasedCalibrationTest(absl::Span<const ConfidenceGroup> groups, int bins, int draws,
                                              const std::function<bool()>& go_on) {
  const BinEdges edges(bins);
  std::vector<TestBin> all(bins);
  std::vector<double> right(bins), turned(bins);
  for (const ConfidenceGroup& group : groups) {
    const int b = edges.IndexOf(group.confidence);
    const double count = static_cast<double>(group.count), c = group.confidence;
    all[b].confidences.insert(all[b].confidences.end(), static_cast<size_t>(group.count), c);
    all[b].confidence += count * c;
    all[b].square += count * c * c;
    right[b] += static_cast<double>(group.correct);
    turned[b] += static_cast<double>(group.correct) * (1 - 2 * c);
  }
  std::vector<TestBin> filled;
  double observed = 0, rows = 0;
  for (int b = 0; b < bins; ++b) {
    if (all[b].confidences.empty()) continue;
    rows += static_cast<double>(all[b].confidences.size());
    observed += all[b].Term(right[b], turned[b]);
    filled.push_back(std::move(all[b]));
  }
  if (filled.empty()) return {0, 1};

  const double least = observed - 1e-9 * (std::abs(observed) + 1);  // equal but for rounding is as large
  std::mt19937_64 generator(20220305);
  int as_large = 0;
  for (int draw = 0; draw < draws; ++draw) {
    if (go_on != nullptr && !go_on()) return {0, 1};
    as_large += Draw(filled, &generator) >= least ? 1 : 0;
  }
  return {observed / rows, static_cast<double>(1 + as_large) / (1 + draws)};
}

}  // namespace calserve
