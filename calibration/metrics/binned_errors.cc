#include "calibration/metrics/binned_errors.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "calibration/bin_edges.h"

namespace calserve {
namespace {

// Turns the sums in a bin into means.
void Finish(ReliabilityBin* bin) {
  if (bin->count <= 0) return;
  bin->confidence /= bin->count;
  bin->accuracy /= bin->count;
}

void AddSums(const ConfidenceGroup& group, ReliabilityBin* bin) {
  const double count = static_cast<double>(group.count);
  bin->count += count;
  bin->confidence += count * group.confidence;
  bin->accuracy += static_cast<double>(group.correct);
}

double TotalCount(absl::Span<const ReliabilityBin> bins) {
  double total = 0;
  for (const ReliabilityBin& bin : bins) total += bin.count;
  return total;
}

bool AccuraciesRise(absl::Span<const ReliabilityBin> bins) {
  return std::is_sorted(bins.begin(), bins.end(), [](const ReliabilityBin& a, const ReliabilityBin& b) {
    return a.accuracy < b.accuracy;
  });
}

}  // namespace

std::vector<ReliabilityBin> EqualWidthBins(absl::Span<const ConfidenceGroup> groups, int bins) {
  const BinEdges edges(bins);
  std::vector<ReliabilityBin> out(bins);
  for (int b = 0; b < bins; ++b) {
    out[b].lower = static_cast<double>(b) / bins;
    out[b].upper = static_cast<double>(b + 1) / bins;
  }
  for (const ConfidenceGroup& group : groups) AddSums(group, &out[edges.IndexOf(group.confidence)]);
  for (ReliabilityBin& bin : out) Finish(&bin);
  return out;
}

std::vector<ReliabilityBin> EqualMassBins(absl::Span<const ConfidenceGroup> groups, int bins) {
  const int64_t rows = CountRows(groups);
  const int64_t parts = std::min<int64_t>(bins, rows);
  std::vector<ReliabilityBin> out;
  int64_t seen = 0, part = 0, part_end = 0;  // the part that the next row is of, and where it ends
  for (size_t g = 0; g < groups.size(); ++g) {
    if (seen >= part_end) {
      if (!out.empty()) {
        out.back().upper = (groups[g - 1].confidence + groups[g].confidence) / 2;
        Finish(&out.back());
      }
      const double lower = out.empty() ? 0 : out.back().upper;
      out.push_back({lower, 1, 0, 0, 0});
      while (part_end <= seen) {
        part_end += rows / parts + (part < rows % parts ? 1 : 0);
        ++part;
      }
    }
    AddSums(groups[g], &out.back());
    seen += groups[g].count;
  }
  if (!out.empty()) Finish(&out.back());
  return out;
}

double ExpectedCalibrationError(absl::Span<const ReliabilityBin> bins) {
  double sum = 0;
  for (const ReliabilityBin& bin : bins) sum += bin.count * std::abs(bin.accuracy - bin.confidence);
  return sum == 0 ? 0 : sum / TotalCount(bins);
}

Estimate ExpectedCalibrationErrorWithInterval(std::vector<ReliabilityBin> bins) {
  CalibrationMetrics metrics;
  metrics.ece = ExpectedCalibrationError(bins);
  metrics.n_effective = TotalCount(bins);
  metrics.n = std::llround(metrics.n_effective);
  metrics.bins = std::move(bins);
  AddEceInterval(&metrics);
  return {metrics.ece, metrics.ece_low, metrics.ece_high};
}

std::optional<double> MaximumCalibrationError(absl::Span<const ReliabilityBin> bins, int64_t least_count) {
  std::optional<double> largest;
  for (const ReliabilityBin& bin : bins) {
    if (bin.count <= 0 || bin.count < static_cast<double>(least_count)) continue;
    largest = std::max(largest.value_or(0), std::abs(bin.accuracy - bin.confidence));
  }
  return largest;
}

double RmsCalibrationError(absl::Span<const ReliabilityBin> bins) {
  double sum = 0;
  for (const ReliabilityBin& bin : bins) sum += bin.count * std::pow(bin.accuracy - bin.confidence, 2);
  return sum == 0 ? 0 : std::sqrt(sum / TotalCount(bins));
}

Estimate DebiasedL2(absl::Span<const ReliabilityBin> bins) {
  const double rows = TotalCount(bins);
  if (rows <= 0) return {};
  double sum = 0, within = 0, squares = 0;
  for (const ReliabilityBin& bin : bins) {
    if (bin.count < 2) continue;
    const double share = bin.count / rows, binomial = bin.accuracy * (1 - bin.accuracy);
    const double square = std::pow(bin.accuracy - bin.confidence, 2) - binomial / (bin.count - 1);
    const double variance = (binomial + std::pow(bin.upper - bin.lower, 2) / 12) / bin.count;
    const double at_least_zero = std::max(0.0, square);
    sum += share * square;
    within += share * share * (4 * at_least_zero * variance + 2 * variance * variance);
    squares += share * at_least_zero * at_least_zero;
  }
  const double between = std::max(0.0, squares - sum * sum) / rows;
  const Estimate square = NormalEstimate(sum, std::sqrt(within + between));
  const auto root = [](double x) { return std::sqrt(std::clamp(x, 0.0, 1.0)); };
  return {root(square.value), root(*square.low), root(*square.high)};
}

EceSweep SweepCalibrationError(absl::Span<const ConfidenceGroup> groups) {
  const int most = static_cast<int>(std::min<int64_t>(CountRows(groups), kMaxBins));
  if (most == 0) return {};
  EceSweep sweep;
  for (int bins = 1; bins <= most; ++bins) {
    const std::vector<ReliabilityBin> candidate = EqualMassBins(groups, bins);
    if (!AccuraciesRise(candidate)) break;
    sweep = {ExpectedCalibrationError(candidate), bins};
  }
  return sweep;
}

}  // namespace calserve
