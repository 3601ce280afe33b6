#include "calibration/metrics/confidence_groups.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "calibration/labelled_rows.h"

namespace calserve {
namespace {

void Append(const ConfidenceGroup& group, std::vector<ConfidenceGroup>* groups) {
  if (groups->empty() || groups->back().confidence != group.confidence) {
    groups->push_back(group);
    return;
  }
  groups->back().count += group.count;
  groups->back().correct += group.correct;
}

}  // namespace

absl::StatusOr<std::vector<ConfidenceGroup>> GroupByConfidence(absl::Span<const float> confidences,
                                                               absl::Span<const uint8_t> correct) {
  if (absl::Status status = CheckTopLabel(confidences, correct); !status.ok()) return status;
  std::vector<std::pair<float, uint8_t>> rows;
  rows.reserve(confidences.size());
  for (size_t i = 0; i < confidences.size(); ++i) rows.emplace_back(confidences[i], correct[i]);
  std::sort(rows.begin(), rows.end());
  std::vector<ConfidenceGroup> groups;
  for (const auto& [confidence, right] : rows) Append({confidence, 1, right}, &groups);
  return groups;
}

std::vector<ConfidenceGroup> MergeGroups(absl::Span<const ConfidenceGroup> a,
                                         absl::Span<const ConfidenceGroup> b) {
  std::vector<ConfidenceGroup> sorted(a.size() + b.size()), merged;
  std::merge(a.begin(), a.end(), b.begin(), b.end(), sorted.begin(),
             [](const ConfidenceGroup& x, const ConfidenceGroup& y) { return x.confidence < y.confidence; });
  for (const ConfidenceGroup& group : sorted) Append(group, &merged);
  return merged;
}

int64_t CountRows(absl::Span<const ConfidenceGroup> groups) {
  int64_t rows = 0;
  for (const ConfidenceGroup& group : groups) rows += group.count;
  return rows;
}

}  // namespace calserve
