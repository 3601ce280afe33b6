#include "server/monitoring/label_scoring.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "calibration/conformal.h"
#include "calibration/metrics.h"
#include "server/base/status_macros.h"
#include "server/feedback/half_float.h"

namespace calserve {
namespace {

// Calibrators remembered at a time; more than the versions that serve at once.
constexpr size_t kMaxRemembered = 1024;

// Fills NLL and Brier of one side and returns its probabilities, kept in *scratch; empty, and neither is
// filled, if the calibrator refuses the logits.
absl::Span<const float> ScoreProbabilities(const Calibrator& calibrator, absl::Span<const float> logits,
                                           int label, std::vector<float>* scratch,
                                           WindowLabel::Score& score) {
  scratch->resize(logits.size());
  if (!calibrator.Apply(logits, absl::MakeSpan(*scratch)).ok()) return {};
  score.nll = static_cast<float>(RowNll(*scratch, label));
  score.brier = static_cast<float>(RowBrier(*scratch, label));
  return *scratch;
}

}  // namespace

MonitorKey KeyOf(const ScoredLabel& row) {
  return {row.prediction.model, row.prediction.model_version, row.prediction.calibrator_version};
}

absl::StatusOr<WindowLabel> LabelScorer::Score(const ScoredLabel& row) {
  const TicketContent& prediction = row.prediction;
  served_probabilities_ = uncalibrated_probabilities_ = {};
  set_thresholds_ = {};
  WindowLabel scored;
  scored.time_micros = absl::ToUnixMicros(row.time);
  scored.served.confidence = prediction.confidence;
  scored.served.correct = row.label == prediction.predicted_class;
  scored.uncalibrated.confidence = prediction.uncalibrated_confidence;
  scored.uncalibrated.correct = row.label == prediction.uncalibrated_class;
  if (row.inclusion_probability.has_value()) {
    scored.extras.SetInclusionProbability(*row.inclusion_probability);
  }

  const std::vector<float> logits = Logits(prediction);
  const int classes = static_cast<int>(logits.size());
  if (classes < 2 || row.label < 0 || row.label >= classes) return scored;
  uncalibrated_probabilities_ =
      ScoreProbabilities(Softmax(classes), logits, row.label, &uncalibrated_scratch_, scored.uncalibrated);
  if (prediction.calibrator_version == 0) {
    served_probabilities_ = uncalibrated_probabilities_;
    scored.served.nll = scored.uncalibrated.nll;
    scored.served.brier = scored.uncalibrated.brier;
    return scored;
  }
  ASSIGN_OR_RETURN(const Calibrator* const served, Served(prediction));
  if (served != nullptr && served->classes() == classes) {
    served_probabilities_ = ScoreProbabilities(*served, logits, row.label, &served_scratch_, scored.served);
    set_thresholds_ = served->spec().set_thresholds;
    ScoreSets(logits, row.label, scored.extras);
  }
  return scored;
}

void LabelScorer::ScoreSets(absl::Span<const float> logits, int label, LabelExtras& extras) {
  if (set_thresholds_.empty() || served_probabilities_.empty() ||
      served_probabilities_.size() > LabelExtras::kMaxSetSize) {
    return;
  }
  const std::vector<double> wide(logits.begin(), logits.end());
  std::vector<double> scores[2];  // by ConformalScore
  const size_t slots = std::min<size_t>(set_thresholds_.size(), LabelExtras::kSets);
  for (size_t slot = 0; slot < slots; ++slot) {
    const SetThreshold& threshold = set_thresholds_[slot];
    std::vector<double>& of = scores[threshold.score == ConformalScore::kAps ? 1 : 0];
    if (of.empty()) of = ConformalScores(threshold.score, served_probabilities_, wide);
    int64_t size =
        std::count_if(of.begin(), of.end(), [&](double score) { return score <= threshold.threshold; });
    bool covered = of[static_cast<size_t>(label)] <= threshold.threshold;
    if (size == 0 && threshold.score == ConformalScore::kAps) {  // As PredictionSet has it.
      size = 1;
      covered = label == Calibrator::PredictedClass(served_probabilities_, logits);
    }
    extras.SetSet(static_cast<int>(slot), {covered, static_cast<int>(size)});
  }
}

std::optional<WindowLabel> LabelScorer::ScoreAs(const ScoredLabel& row, const Calibrator& calibrator) {
  const std::vector<float> logits = Logits(row.prediction);
  const int classes = static_cast<int>(logits.size());
  served_probabilities_ = uncalibrated_probabilities_ = {};
  set_thresholds_ = {};
  if (classes != calibrator.classes() || row.label < 0 || row.label >= classes) return std::nullopt;
  WindowLabel scored;
  scored.time_micros = absl::ToUnixMicros(row.time);
  served_probabilities_ = ScoreProbabilities(calibrator, logits, row.label, &served_scratch_, scored.served);
  uncalibrated_probabilities_ =
      ScoreProbabilities(Softmax(classes), logits, row.label, &uncalibrated_scratch_, scored.uncalibrated);
  if (served_probabilities_.empty() || uncalibrated_probabilities_.empty()) return std::nullopt;
  const int predicted = Calibrator::PredictedClass(served_probabilities_, logits);
  scored.served.confidence = served_probabilities_[static_cast<size_t>(predicted)];
  scored.served.correct = row.label == predicted;
  scored.uncalibrated.confidence = row.prediction.uncalibrated_confidence;
  scored.uncalibrated.correct = row.label == row.prediction.uncalibrated_class;
  if (row.inclusion_probability.has_value()) {
    scored.extras.SetInclusionProbability(*row.inclusion_probability);
  }
  set_thresholds_ = calibrator.spec().set_thresholds;
  ScoreSets(logits, row.label, scored.extras);
  return scored;
}

absl::StatusOr<const Calibrator*> LabelScorer::Served(const TicketContent& prediction) {
  MonitorKey key{prediction.model, prediction.model_version, prediction.calibrator_version};
  auto it = served_.find(key);
  if (it == served_.end()) {
    ASSIGN_OR_RETURN(std::shared_ptr<const Calibrator> calibrator,
                     lookup_(key.model, key.model_version, key.calibrator_version));
    if (served_.size() >= kMaxRemembered) served_.clear();
    it = served_.emplace(std::move(key), std::move(calibrator)).first;
  }
  return it->second.get();
}

const Calibrator& LabelScorer::Softmax(int classes) {
  auto it = softmax_.find(classes);
  if (it == softmax_.end()) it = softmax_.emplace(classes, Calibrator::None(classes)).first;
  return it->second;
}

}  // namespace calserve
