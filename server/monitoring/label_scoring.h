#ifndef CALSERVE_SERVER_MONITORING_LABEL_SCORING_H_
#define CALSERVE_SERVER_MONITORING_LABEL_SCORING_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/calibrator.h"
#include "calibration/rolling_windows.h"
#include "server/feedback/scored_label.h"
#include "server/monitoring/monitor_key.h"

namespace calserve {

// Finds the calibrator of a version > 0. Null only where there never was one of that number; an error where
// it cannot be told now (the store is down): then the label is scored later. The answer for a version never
// changes.
using CalibratorLookup = std::function<absl::StatusOr<std::shared_ptr<const Calibrator>>(
    const std::string& model, int64_t model_version, int64_t calibrator_version)>;

// Whose windows count the label.
MonitorKey KeyOf(const ScoredLabel& row);

// Scores rows of the log: confidence and correctness exactly as served, NLL and Brier from the ticket's
// logits through the calibrator that served (and through plain softmax for the uncalibrated side). A row
// without logits, or whose calibrator is gone, or whose label is not one of its classes, has no NLL and no
// Brier; nor does it count for the prediction sets of its calibrator, whose scores are of the same
// probabilities. So does none of more than LabelExtras::kMaxSetSize classes. Remembers the calibrators that
// it has met. Not thread-safe.
class LabelScorer final {
 public:
  explicit LabelScorer(CalibratorLookup lookup) : lookup_(std::move(lookup)) {}

  // Fails only as the lookup fails.
  absl::StatusOr<WindowLabel> Score(const ScoredLabel& row);

  // As if `calibrator` had served it; nullopt for a row that cannot be told: without logits, of another
  // number of classes, or with a label that is none of them.
  std::optional<WindowLabel> ScoreAs(const ScoredLabel& row, const Calibrator& calibrator);

  // The probabilities that NLL and Brier of the row scored last are of; empty where it has none. Valid until
  // the next row.
  absl::Span<const float> served_probabilities() const { return served_probabilities_; }
  absl::Span<const float> uncalibrated_probabilities() const { return uncalibrated_probabilities_; }
  // Set thresholds of the calibrator that served it, or that it was scored as served by; empty where it has
  // none. Valid as long, and no longer than that calibrator.
  absl::Span<const SetThreshold> set_thresholds() const { return set_thresholds_; }

 private:
  // The calibrator that served the row; null if there is none that fits its classes.
  absl::StatusOr<const Calibrator*> Served(const TicketContent& prediction);
  const Calibrator& Softmax(int classes);
  // Whether the sets of the row scored last hold its label, and how large they are.
  void ScoreSets(absl::Span<const float> logits, int label, LabelExtras& extras);

  const CalibratorLookup lookup_;
  std::map<MonitorKey, std::shared_ptr<const Calibrator>> served_;
  std::map<int, Calibrator> softmax_;  // by number of classes
  // Scratch, and views of what in it is of the row.
  std::vector<float> served_scratch_, uncalibrated_scratch_;
  absl::Span<const float> served_probabilities_, uncalibrated_probabilities_;
  absl::Span<const SetThreshold> set_thresholds_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_LABEL_SCORING_H_
