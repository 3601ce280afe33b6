#include "client/cli/column_scores.h"

#include <utility>

namespace calserve::cli {

ColumnScores::ColumnScores(int classes, int bins, bool details)
    : classes_(classes), metrics_(bins), sums_(classes, kDefaultBins, 0) {
  if (details) details_.emplace(DetailOptions{.bins = bins});
}

void ColumnScores::Add(const AppliedRow& row) {
  const float confidence = row.probabilities[static_cast<size_t>(row.predicted)];
  metrics_.Add(confidence, row.predicted == row.label);
  metrics_.AddScores(RowNll(row.probabilities, row.label), RowBrier(row.probabilities, row.label));
  sums_.Add(row.probabilities, row.label);
  if (!details_.has_value()) return;
  details_->Add(confidence, row.predicted == row.label);
  details_->AddProbabilities(row.probabilities, row.label);
}

absl::StatusOr<NamedMetrics> ColumnScores::Column(std::string name,
                                                  const std::vector<std::string>& class_names) const {
  NamedMetrics column{std::move(name), metrics_.Metrics(), {}, {}};
  AddEceInterval(&column.metrics);
  column.classes = MostFrequentClasses(sums_, classes_, class_names);
  if (!details_.has_value()) return column;
  absl::StatusOr<DetailedMetrics> details = details_->Metrics();
  if (!details.ok()) return details.status();
  column.details = *std::move(details);
  return column;
}

}  // namespace calserve::cli
