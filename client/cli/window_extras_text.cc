#include "client/cli/window_extras_text.h"

#include "absl/strings/str_format.h"

namespace calserve::cli {
namespace {

std::string WithInterval(const Estimate& estimate) {
  std::string text = absl::StrFormat("%.3f", estimate.value);
  if (estimate.low.has_value() && estimate.high.has_value()) {
    absl::StrAppendFormat(&text, " (%.3f to %.3f)", *estimate.low, *estimate.high);
  }
  return text;
}

}  // namespace

std::string WindowExtrasLines(const client::WindowReport& report) {
  std::string lines;
  for (const client::WindowReport::SetCoverage& sets : report.set_coverage) {
    absl::StrAppendFormat(
        &lines,
        "sets %s at alpha %g: %.1f %% (%.1f to %.1f) of %d hold the label, %.2f classes in the mean\n",
        ScoreName(sets.threshold.score), sets.threshold.alpha, 100 * sets.coverage.value,
        100 * sets.coverage.low.value_or(0), 100 * sets.coverage.high.value_or(1), sets.n, sets.mean_size);
  }
  if (report.weighted.has_value()) {
    const WeightedEstimates& weighted = *report.weighted;
    absl::StrAppendFormat(
        &lines,
        "all predictions, from %d labels with an inclusion probability (as good as %.1f): accuracy %s, "
        "confidence gap %s, ECE %.3f\n",
        weighted.n, weighted.n_effective, WithInterval(weighted.accuracy),
        WithInterval(weighted.confidence_gap), weighted.ece);
  }
  return lines;
}

}  // namespace calserve::cli
