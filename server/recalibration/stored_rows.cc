#include "server/recalibration/stored_rows.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/feedback/half_float.h"

namespace calserve {

absl::Status VisitNewest(Store& store, LogSelection selection, int64_t max_rows,
                         absl::FunctionRef<absl::Status(absl::Span<const ScoredLabel>)> visit,
                         int64_t page_rows) {
  // A selection ends at a time, not at a position, and rows of one commit share theirs. So a page that may
  // not be the last gives up the rows of its first time, and the next page, which ends just after that time,
  // has them all.
  int64_t page = page_rows;
  while (max_rows > 0) {
    const int64_t limit = std::min(page, max_rows);
    ASSIGN_OR_RETURN(const std::vector<ScoredLabel> rows, store.ReadNewest(selection, limit));
    const bool last = limit == max_rows || static_cast<int64_t>(rows.size()) < limit;
    if (last) return visit(rows);
    const absl::Time first_time = rows.front().time;
    const auto begin =
        std::find_if(rows.begin(), rows.end(), [&](const ScoredLabel& row) { return row.time > first_time; });
    if (begin == rows.end()) {  // One commit fills the page.
      page *= 2;
      continue;
    }
    const auto skipped = static_cast<size_t>(begin - rows.begin());
    RETURN_IF_ERROR(visit(absl::MakeConstSpan(rows).subspan(skipped)));
    max_rows -= static_cast<int64_t>(rows.size() - skipped);
    selection.end = first_time + absl::Microseconds(1);
    page = page_rows;
  }
  return absl::OkStatus();
}

namespace {

absl::Status AddRow(const CalibrationTarget& target, const ScoredLabel& row, LabelledLogits& data) {
  if (row.prediction.logits_fp16.empty()) return absl::OkStatus();
  const std::vector<float> logits = Logits(row.prediction);
  if (static_cast<int>(logits.size()) != target.classes) {
    return absl::FailedPreconditionError(
        absl::StrCat("the stored label at position ", row.position, " has ", logits.size(), " logits; model ",
                     target.model, " version ", target.model_version, " has ", target.classes, " classes"));
  }
  data.logits.insert(data.logits.end(), logits.begin(), logits.end());
  data.labels.push_back(row.label);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LabelledLogits> ReadLabelledLogits(Store& store, const CalibrationTarget& target,
                                                  LogSelection selection, const FitLimits& limits,
                                                  absl::FunctionRef<bool(int64_t rows)> read) {
  selection.model = target.model;
  selection.model_version = target.model_version;
  LabelledLogits data;
  data.columns = target.classes;
  int64_t seen = 0, of_other_content = 0;
  const auto add_page = [&](absl::Span<const ScoredLabel> rows) -> absl::Status {
    for (const ScoredLabel& row : rows) {
      if (!target.digest.empty() && row.prediction.model_digest != target.digest) {
        ++of_other_content;
      } else {
        RETURN_IF_ERROR(AddRow(target, row, data));
      }
    }
    seen += static_cast<int64_t>(rows.size());
    if (!rows.empty()) data.position = std::max(data.position, rows.back().position);
    const auto bytes = static_cast<int64_t>(data.logits.size() * sizeof(float));
    if (bytes > limits.bytes) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the logits of a fit may take ", limits.bytes, " bytes (fit_max_bytes); ", data.labels.size(),
          " rows of ", target.classes, " classes take ", bytes, ": select at most ",
          limits.bytes / (static_cast<int64_t>(sizeof(float)) * target.classes), " rows"));
    }
    return read(seen) ? absl::OkStatus() : absl::CancelledError("the fit was cancelled while reading");
  };
  RETURN_IF_ERROR(VisitNewest(store, std::move(selection), limits.rows, add_page));
  if (seen > 0 && of_other_content == seen) {
    return absl::FailedPreconditionError(absl::StrCat(
        "all of the ", seen, " stored labels of model ", target.model, " version ", target.model_version,
        " are of weights or class names that have been replaced under this number since"));
  }
  if (seen > 0 && data.labels.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "none of the ", seen, " stored labels of model ", target.model, " version ", target.model_version,
        " has logits: tickets of a model with more than tickets.max_classes classes carry none; upload a "
        "labelled set"));
  }
  return data;
}

}  // namespace calserve
