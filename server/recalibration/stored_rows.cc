#include "server/recalibration/stored_rows.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/feedback/half_float.h"
#include "server/feedback/log_pages.h"

namespace calserve {

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
