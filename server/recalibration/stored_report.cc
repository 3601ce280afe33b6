#include "server/recalibration/stored_report.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "server/base/status_macros.h"
#include "server/recalibration/stored_rows.h"

namespace calserve {
namespace {

// One side of a report, row by row.
class Side {
 public:
  void Add(const WindowLabel::Score& score) {
    confidences_.push_back(score.confidence);
    correct_.push_back(score.correct ? 1 : 0);
    if (score.nll == WindowLabel::kNoLogits) return;
    ++n_with_logits_;
    nll_ += static_cast<double>(score.nll);
    brier_ += static_cast<double>(score.brier);
  }

  absl::StatusOr<CalibrationMetrics> Measure(int bins) const {
    ASSIGN_OR_RETURN(CalibrationMetrics metrics, EvaluateTopLabel(confidences_, correct_, bins));
    metrics.n_with_logits = n_with_logits_;
    if (n_with_logits_ > 0) {
      metrics.nll = nll_ / static_cast<double>(n_with_logits_);
      metrics.brier = brier_ / static_cast<double>(n_with_logits_);
    }
    return metrics;
  }

 private:
  std::vector<float> confidences_;
  std::vector<uint8_t> correct_;
  int64_t n_with_logits_ = 0;
  double nll_ = 0;
  double brier_ = 0;
};

}  // namespace

absl::StatusOr<StoredMetrics> MeasureStored(Store& store, const LogSelection& selection, int64_t max_rows,
                                            int bins, CalibratorLookup lookup) {
  LabelScorer scorer(std::move(lookup));
  Side served, uncalibrated;
  StoredMetrics metrics;
  const auto add_page = [&](absl::Span<const ScoredLabel> rows) -> absl::Status {
    for (const ScoredLabel& row : rows) {
      ASSIGN_OR_RETURN(const WindowLabel label, scorer.Score(row));
      served.Add(label.served);
      uncalibrated.Add(label.uncalibrated);
      metrics.position = std::max(metrics.position, row.position);
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(VisitNewest(store, selection, max_rows, add_page));
  ASSIGN_OR_RETURN(metrics.served, served.Measure(bins));
  ASSIGN_OR_RETURN(metrics.uncalibrated, uncalibrated.Measure(bins));
  return metrics;
}

}  // namespace calserve
