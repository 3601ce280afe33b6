// The predicted class gets the mean of s over its bin, s = 1 / (1 + exp(A f + B)), f the log-odds of its
// softmax; the others share the rest as before.                                     (Kumar et al., 2019)
//
// A and B are Platt's fit to whether the prediction was right. Bins hold as many fitted rows each; an edge
// lies halfway between its neighbours, and edges that coincide are one.

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/methods/log_odds.h"
#include "calibration/methods/methods.h"
#include "calibration/methods/top_label.h"
#include "calibration/platt_fit.h"
#include "calibration/softmax.h"

namespace calserve {
namespace {

constexpr size_t kBins = kDefaultBins;

// (edge before, edge]: the bins are as many as the edges and one.
size_t BinOf(const std::vector<double>& edges, double value) {
  return static_cast<size_t>(std::lower_bound(edges.begin(), edges.end(), value) - edges.begin());
}

class ScalingBinningMap final : public ProbabilityMap {
 public:
  ScalingBinningMap(double slope, double offset, std::vector<double> edges, std::vector<double> values)
      : slope_(slope), offset_(offset), edges_(std::move(edges)), values_(std::move(values)) {}

  void Apply(absl::Span<double> row) const override {
    const double scaled = LogisticOfMinus(slope_ * TopLogOdds(row) + offset_);
    SpreadConfidence(values_[BinOf(edges_, scaled)], row);
  }

 private:
  const double slope_, offset_;
  const std::vector<double> edges_, values_;
};

// The inner edges between `bins` runs of the sorted values: the first (size % bins) runs are one longer.
std::vector<double> EqualMassEdges(const std::vector<double>& sorted, size_t bins) {
  bins = std::min(bins, sorted.size());
  std::vector<double> edges;
  size_t at = 0;
  for (size_t b = 0; b + 1 < bins; ++b) {
    at += sorted.size() / bins + (b < sorted.size() % bins ? 1 : 0);
    const double edge = (sorted[at - 1] + sorted[at]) / 2;
    if (edges.empty() || edge != edges.back()) edges.push_back(edge);
  }
  return edges;
}

// Means over the bins, none of which is empty but for one between two equal values: that takes its edge.
std::vector<double> BinMeans(const std::vector<double>& sorted, const std::vector<double>& edges) {
  std::vector<double> sums(edges.size() + 1, 0), counts(edges.size() + 1, 0);
  for (const double value : sorted) {
    const size_t bin = BinOf(edges, value);
    sums[bin] += value;
    counts[bin] += 1;
  }
  for (size_t bin = 0; bin < sums.size(); ++bin) {
    sums[bin] = counts[bin] > 0 ? sums[bin] / counts[bin] : edges[std::min(bin, edges.size() - 1)];
  }
  return sums;
}

std::unique_ptr<const ProbabilityMap> Read(int, ParameterReader* reader) {
  constexpr double kLargest = 1e100;
  const double slope = reader->Values("slope", 1, kLargest)[0];
  const double offset = reader->Values("offset", 1, kLargest)[0];
  std::vector<double> edges = reader->Values("edge");
  std::vector<double> values = reader->Values("value", edges.size() + 1);
  if (!std::is_sorted(edges.begin(), edges.end())) reader->Fail("parameter edge must rise");
  for (const double value : values) {
    if (value < 0 || value > 1) {
      reader->Fail(absl::StrCat("parameter value must be in [0, 1]; was ", value));
    }
  }
  return std::make_unique<ScalingBinningMap>(slope, offset, std::move(edges), std::move(values));
}

absl::StatusOr<Fitted> Fit(const LabelledRows& data, const FitProgress& progress) {
  const TopLabels labels = TopLabelsOf(data);
  if (!progress(0.3)) return FitCancelled();
  const PlattFit platt = FitPlatt(labels.scores, labels.correct, [&] { return progress(0.5); });
  if (platt.cancelled) return FitCancelled();
  std::vector<double> scaled;
  for (const double score : labels.scores)
    scaled.push_back(LogisticOfMinus(platt.slope * score + platt.offset));
  std::sort(scaled.begin(), scaled.end());
  const std::vector<double> edges = EqualMassEdges(scaled, kBins);
  Fitted fitted;
  fitted.spec = {CalibrationMethod::kScalingBinning,
                 data.logits.classes(),
                 {{"slope", {platt.slope}},
                  {"offset", {platt.offset}},
                  {"edge", edges},
                  {"value", BinMeans(scaled, edges)}}};
  fitted.converged = platt.converged;
  fitted.iterations = platt.iterations;
  fitted.at_bound = !platt.overlapping;
  return fitted;
}

}  // namespace

Method ScalingBinningMethod() {
  return {.id = CalibrationMethod::kScalingBinning,
          .name = "scaling_binning",
          .two_classes_only = false,
          .on_more_classes = CalibrationMethod::kScalingBinning,
          .keeps_prediction = true,
          .read = Read,
          .fit = Fit};
}

}  // namespace calserve
