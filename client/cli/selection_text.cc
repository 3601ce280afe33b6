#include "client/cli/selection_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace calserve::cli {

const char* StateName(client::LabelSelection::State state) {
  switch (state) {
    case client::LabelSelection::State::kTooFewLabels:
      return "TOO_FEW_LABELS";
    case client::LabelSelection::State::kNoDifference:
      return "NO_DIFFERENCE";
    case client::LabelSelection::State::kSelectiveLabels:
      return "SELECTIVE_LABELS";
    case client::LabelSelection::State::kUnknown:
      break;
  }
  return "UNKNOWN";
}

std::string SelectionLine(const client::LabelSelection& selection) {
  std::string line = absl::StrFormat("labelled %d of %d predictions (%.1f %%)", selection.labelled,
                                     selection.issued, 100 * selection.labelled_share);
  if (selection.labels > 0) {
    const absl::Duration median = selection.median_label_delay >= absl::Seconds(1)
                                      ? absl::Trunc(selection.median_label_delay, absl::Seconds(1))
                                      : absl::Trunc(selection.median_label_delay, absl::Milliseconds(1));
    absl::StrAppend(&line, ", after ", absl::FormatDuration(median), " (median)");
  }
  if (selection.labelled > 0) {
    absl::StrAppendFormat(&line, "; mean confidence %.3f, of all %.3f", selection.mean_confidence_labelled,
                          selection.mean_confidence_issued);
  }
  return absl::StrCat(line, ": ", StateName(selection.state));
}

}  // namespace calserve::cli
