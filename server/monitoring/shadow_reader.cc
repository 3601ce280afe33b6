#include "server/monitoring/shadow_reader.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "server/base/status_macros.h"
#include "server/feedback/log_pages.h"

namespace calserve {

absl::StatusOr<ShadowFold::Entry> ReadShadow(Store& store, LabelScorer& scorer,
                                             const ShadowCalibrator& shadow,
                                             std::unique_ptr<RollingWindows> empty, int64_t position,
                                             absl::FunctionRef<bool()> go_on) {
  ShadowFold::Entry entry;
  entry.shadow = shadow;
  entry.windows = std::move(empty);
  LogSelection selection;
  selection.after_position = shadow.after_position;
  selection.before_position = position + 1;
  selection.model = shadow.key.model;
  selection.model_version = shadow.key.model_version;
  std::vector<std::pair<WindowLabel, int64_t>> newest_first;  // with their positions
  int64_t rows = 0;
  const auto score_page = [&](absl::Span<const ScoredLabel> page) -> absl::Status {
    rows += static_cast<int64_t>(page.size());
    for (auto row = page.rbegin(); row != page.rend(); ++row) {
      const std::optional<WindowLabel> label = scorer.ScoreAs(*row, *shadow.calibrator);
      if (label.has_value()) newest_first.emplace_back(*label, row->position);
    }
    return go_on() ? absl::OkStatus() : absl::CancelledError("cancelled while labels were read");
  };
  RETURN_IF_ERROR(VisitNewest(store, selection, kShadowRows, score_page));
  entry.truncated = rows == kShadowRows;
  for (auto label = newest_first.rbegin(); label != newest_first.rend(); ++label) {
    if (entry.windows->Push(label->first).ok()) entry.label_position = label->second;
  }
  return entry;
}

}  // namespace calserve
