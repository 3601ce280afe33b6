#include "server/recalibration/paired_rows.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/types/span.h"
#include "calibration/stable_hash.h"
#include "server/base/status_macros.h"
#include "server/feedback/half_float.h"
#include "server/feedback/log_pages.h"

namespace calserve {
namespace {

LogSelection SelectionOf(const CalibrationTarget& target, int64_t after_position) {
  LogSelection selection;
  selection.after_position = after_position;
  selection.model = target.model;
  selection.model_version = target.model_version;
  return selection;
}

// Whether the row is of what is served now, and has what a calibrator takes.
bool Counts(const CalibrationTarget& target, const ScoredLabel& row) {
  const TicketContent& prediction = row.prediction;
  return (target.digest.empty() || prediction.model_digest == target.digest) &&
         static_cast<int>(prediction.logits_fp16.size()) == target.classes && row.label >= 0 &&
         row.label < target.classes;
}

absl::Status Cancelled() { return absl::CancelledError("cancelled while labels were read"); }

// Adds rows to a comparison, both sides from the same logits.
class PairedRows {
 public:
  PairedRows(const Calibrator& incumbent, const Calibrator& candidate)
      : incumbent_(incumbent),
        candidate_(candidate),
        incumbent_row_(static_cast<size_t>(incumbent.classes())),
        candidate_row_(static_cast<size_t>(candidate.classes())) {}

  void Add(const ScoredLabel& row) {
    const std::vector<float> logits = Logits(row.prediction);
    if (!incumbent_.Apply(logits, absl::MakeSpan(incumbent_row_)).ok()) return;
    if (!candidate_.Apply(logits, absl::MakeSpan(candidate_row_)).ok()) return;
    pairs_.Add({incumbent_row_, Calibrator::PredictedClass(incumbent_row_, logits)},
               {candidate_row_, Calibrator::PredictedClass(candidate_row_, logits)}, row.label);
    first_ = first_ == 0 ? row.position : std::min(first_, row.position);
    last_ = std::max(last_, row.position);
  }
  PairedResult Get() const { return {pairs_.Get(), first_, last_}; }

 private:
  const Calibrator& incumbent_;
  const Calibrator& candidate_;
  std::vector<float> incumbent_row_, candidate_row_;
  PairedAccumulator pairs_;
  int64_t first_ = 0, last_ = 0;
};

}  // namespace

double JudgingHash(const Uuid& prediction_id) {
  StableHash hash;
  uint64_t words[2];
  static_assert(sizeof(words) == sizeof(prediction_id.bytes));
  std::memcpy(words, prediction_id.bytes.data(), sizeof(words));
  hash.Add(words[0]);
  hash.Add(words[1]);
  return static_cast<double>(hash.value() >> 11) * 0x1p-53;
}

absl::StatusOr<PairedResult> CompareStored(Store& store, const CalibrationTarget& target,
                                           const PairedLabels& labels, const Calibrator& incumbent,
                                           const Calibrator& candidate, absl::FunctionRef<bool()> go_on) {
  if (incumbent.classes() != target.classes || candidate.classes() != target.classes) {
    return absl::InvalidArgumentError("calibrators of another number of classes cannot be compared");
  }
  PairedRows rows(incumbent, candidate);
  const auto add_page = [&](absl::Span<const ScoredLabel> page) -> absl::Status {
    for (const ScoredLabel& row : page) {
      if (row.position > labels.last_position || !Counts(target, row)) continue;
      if (JudgingHash(row.prediction.prediction_id) < labels.judging_share) rows.Add(row);
    }
    return go_on() ? absl::OkStatus() : Cancelled();
  };
  RETURN_IF_ERROR(VisitNewest(store, SelectionOf(target, labels.after_position), labels.max_rows, add_page));
  return rows.Get();
}

absl::StatusOr<SplitLabels> ReadSplit(Store& store, const CalibrationTarget& target,
                                      const SplitSelection& selection, absl::FunctionRef<bool()> go_on) {
  SplitLabels split;
  split.fit.columns = target.classes;
  const auto add_page = [&](absl::Span<const ScoredLabel> page) -> absl::Status {
    for (const ScoredLabel& row : page) {
      split.last_position = std::max(split.last_position, row.position);
      if (!Counts(target, row)) continue;
      if (JudgingHash(row.prediction.prediction_id) < selection.judging_share) {
        split.judges += row.position > selection.judge_after ? 1 : 0;
        continue;
      }
      if (row.position <= selection.fit_after) continue;
      const std::vector<float> logits = Logits(row.prediction);
      split.fit.logits.insert(split.fit.logits.end(), logits.begin(), logits.end());
      split.fit.labels.push_back(row.label);
      split.fit.position = std::max(split.fit.position, row.position);
    }
    return go_on() ? absl::OkStatus() : Cancelled();
  };
  RETURN_IF_ERROR(VisitNewest(store,
                              SelectionOf(target, std::min(selection.fit_after, selection.judge_after)),
                              selection.max_rows, add_page));
  return split;
}

}  // namespace calserve
