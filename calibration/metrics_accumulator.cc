#include "calibration/metrics_accumulator.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace calserve {
namespace {

// What is left of a bin in a decaying window once it has decayed to this much of a row is no bin's worth.
constexpr double kEmptyWeight = 0x1p-12;

ReliabilityBin ReliabilityBinFrom(const MetricsSums::Bin& sum, int index, int bins) {
  ReliabilityBin bin;
  bin.lower = static_cast<double>(index) / bins;
  bin.upper = static_cast<double>(index + 1) / bins;
  if (sum.weight < kEmptyWeight) return bin;
  bin.count = sum.weight;
  bin.confidence = sum.confidence / sum.weight;
  bin.accuracy = sum.correct / sum.weight;
  return bin;
}

}  // namespace

CalibrationMetrics MetricsFromSums(const MetricsSums& sums) {
  const int bin_count = static_cast<int>(sums.bins.size());
  double weight = 0;
  for (const MetricsSums::Bin& bin : sums.bins) weight += bin.weight >= kEmptyWeight ? bin.weight : 0;

  CalibrationMetrics metrics;
  metrics.n = std::llround(weight);
  const bool empty = metrics.n == 0;
  for (int b = 0; b < bin_count; ++b) {
    metrics.bins.push_back(ReliabilityBinFrom(empty ? MetricsSums::Bin() : sums.bins[b], b, bin_count));
  }
  if (empty) return metrics;

  metrics.n_effective = weight * weight / sums.squared_weights;
  const double weight_per_row = weight / metrics.n_effective;  // 1 where every row counts 1
  double correct = 0, confidence = 0, gaps = 0, floor = 0;
  for (int b = 0; b < bin_count; ++b) {
    const MetricsSums::Bin& sum = sums.bins[b];
    if (sum.weight < kEmptyWeight) continue;
    correct += sum.correct;
    confidence += sum.confidence;
    gaps += std::abs(sum.correct - sum.confidence);
    const double c = metrics.bins[b].confidence;
    floor += std::sqrt(2 * c * (1 - c) * sum.weight * weight_per_row / std::numbers::pi);
    metrics.mce = std::max(metrics.mce, std::abs(metrics.bins[b].accuracy - c));
  }
  metrics.accuracy = correct / weight;
  metrics.mean_confidence = confidence / weight;
  metrics.ece = gaps / weight;
  metrics.noise_floor = floor / weight;

  metrics.n_with_logits = std::llround(sums.weight_with_logits);
  if (metrics.n_with_logits > 0) {
    metrics.nll = sums.nll / sums.weight_with_logits;
    metrics.brier = sums.brier / sums.weight_with_logits;
  }
  return metrics;
}

void MetricsAccumulator::Add(double confidence, bool correct) {
  MetricsSums::Bin& bin = sums_.bins[edges_.IndexOf(confidence)];
  bin.weight += 1;
  bin.confidence += confidence;
  bin.correct += correct ? 1 : 0;
  sums_.squared_weights += 1;
}

void MetricsAccumulator::AddScores(double nll, double brier) {
  sums_.weight_with_logits += 1;
  sums_.nll += nll;
  sums_.brier += brier;
}

}  // namespace calserve
