#include "server/recalibration/stored_report.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "calibration/window_state.h"
#include "server/base/status_macros.h"
#include "server/feedback/log_pages.h"

namespace calserve {
namespace {

// One side of a report, row by row.
class Side {
 public:
  explicit Side(const StoredMetricsOptions& options) : bins_(options.bins) {
    if (options.detailed) details_.emplace(DetailOptions{.bins = options.bins, .go_on = options.go_on});
  }

  // `probabilities` may be empty.
  void Add(const WindowLabel::Score& score, absl::Span<const float> probabilities, int label) {
    if (details_.has_value()) {
      details_->Add(score.confidence, score.correct);
      if (!probabilities.empty()) details_->AddProbabilities(probabilities, label);
    }
    confidences_.push_back(score.confidence);
    correct_.push_back(score.correct ? 1 : 0);
    if (score.nll == WindowLabel::kNoLogits) return;
    ++n_with_logits_;
    nll_ += static_cast<double>(score.nll);
    brier_ += static_cast<double>(score.brier);
  }

  absl::Status Measure(CalibrationMetrics& metrics, std::optional<DetailedMetrics>& details) const {
    if (details_.has_value()) {
      ASSIGN_OR_RETURN(details, details_->Metrics());
    }
    ASSIGN_OR_RETURN(metrics, EvaluateTopLabel(confidences_, correct_, bins_));
    metrics.n_with_logits = n_with_logits_;
    if (n_with_logits_ > 0) {
      metrics.nll = nll_ / static_cast<double>(n_with_logits_);
      metrics.brier = brier_ / static_cast<double>(n_with_logits_);
    }
    return absl::OkStatus();
  }

 private:
  const int bins_;
  std::optional<DetailedAccumulator> details_;
  std::vector<float> confidences_;
  std::vector<uint8_t> correct_;
  int64_t n_with_logits_ = 0;
  double nll_ = 0;
  double brier_ = 0;
};

absl::StatusOr<std::optional<WindowLabel>> ScoreRow(const ScoredLabel& row,
                                                    const StoredMetricsOptions& options,
                                                    LabelScorer& scorer) {
  if (options.shadow != nullptr) return scorer.ScoreAs(row, *options.shadow);
  ASSIGN_OR_RETURN(const WindowLabel label, scorer.Score(row));
  return std::optional<WindowLabel>(label);
}

}  // namespace

absl::StatusOr<StoredMetrics> MeasureStored(Store& store, const LogSelection& selection,
                                            const StoredMetricsOptions& options, CalibratorLookup lookup) {
  LabelScorer scorer(std::move(lookup));
  Side served(options), uncalibrated(options);
  const BinEdges edges(options.bins);
  ExtraSums extras(options.bins);
  std::vector<SetThreshold> thresholds;
  StoredMetrics metrics;
  const auto add_page = [&](absl::Span<const ScoredLabel> rows) -> absl::Status {
    for (const ScoredLabel& row : rows) {
      ASSIGN_OR_RETURN(const std::optional<WindowLabel> scored, ScoreRow(row, options, scorer));
      if (!scored.has_value()) continue;
      const WindowLabel& label = *scored;
      const ScoreUnits units(PackedScore::From(label.served), edges);
      extras.Add(label.extras, units.bin, units.confidence, units.correct);
      if (thresholds.empty()) {
        thresholds.assign(scorer.set_thresholds().begin(), scorer.set_thresholds().end());
      }
      served.Add(label.served, scorer.served_probabilities(), row.label);
      uncalibrated.Add(label.uncalibrated, scorer.uncalibrated_probabilities(), row.label);
      metrics.position = std::max(metrics.position, row.position);
    }
    return options.go_on() ? absl::OkStatus() : absl::CancelledError("cancelled while labels were read");
  };
  RETURN_IF_ERROR(VisitNewest(store, selection, options.max_rows, add_page));
  metrics.weighted = extras.Weighted();
  for (size_t slot = 0; slot < std::min<size_t>(thresholds.size(), LabelExtras::kSets); ++slot) {
    if (extras.sets()[slot].n > 0) metrics.set_coverage.push_back({thresholds[slot], extras.sets()[slot]});
  }
  RETURN_IF_ERROR(served.Measure(metrics.served, metrics.served_details));
  RETURN_IF_ERROR(uncalibrated.Measure(metrics.uncalibrated, metrics.uncalibrated_details));
  return metrics;
}

}  // namespace calserve
