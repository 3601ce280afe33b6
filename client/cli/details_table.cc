#include "client/cli/details_table.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace calserve::cli {
namespace {

std::string Format(const std::optional<Estimate>& estimate) {
  if (!estimate.has_value()) return "-";
  if (!estimate->low.has_value() || !estimate->high.has_value()) return FormatMetric(estimate->value);
  return absl::StrCat(FormatMetric(estimate->value), " [", FormatMetric(estimate->low), ", ",
                      FormatMetric(estimate->high), "]");
}

std::string Format(const std::optional<CalibrationTestResult>& test) {
  if (!test.has_value()) return "-";
  const std::string p = absl::StrFormat("p %.3g", test->p_value);
  return test->statistic.has_value() ? absl::StrFormat("%.4g, %s", *test->statistic, p) : p;
}

struct Detail {
  const char* name;
  std::string (*format)(const DetailedMetrics& details);
};
constexpr Detail kDetails[] = {
    {"accuracy, 95 %", [](const DetailedMetrics& d) { return Format(d.accuracy); }},
    {"confidence - accuracy", [](const DetailedMetrics& d) { return Format(d.confidence_gap); }},
    {"adaptive ECE", [](const DetailedMetrics& d) { return Format(d.adaptive_ece); }},
    {"smooth ECE", [](const DetailedMetrics& d) { return FormatMetric(d.smooth_ece); }},
    {"ECE sweep (bins)",
     [](const DetailedMetrics& d) {
       return absl::StrCat(FormatMetric(d.ece_sweep), " (", d.ece_sweep_bins, ")");
     }},
    {"RMS calibration error", [](const DetailedMetrics& d) { return FormatMetric(d.rms_calibration_error); }},
    {"debiased L2", [](const DetailedMetrics& d) { return Format(d.debiased_l2); }},
    {"MCE (rows a bin)",
     [](const DetailedMetrics& d) {
       return absl::StrCat(FormatMetric(d.mce), " (>= ", d.mce_least_count, ")");
     }},
    {"classwise ECE", [](const DetailedMetrics& d) { return FormatMetric(d.classwise_ece); }},
    {"classwise ECE (threshold)",
     [](const DetailedMetrics& d) {
       return absl::StrCat(FormatMetric(d.classwise_ece_thresholded), " (", d.class_threshold, ")");
     }},
    {"is it calibrated? debiased", [](const DetailedMetrics& d) { return Format(d.debiased_test); }},
    {"Kolmogorov-Smirnov", [](const DetailedMetrics& d) { return Format(d.kolmogorov_smirnov); }},
    {"Kuiper", [](const DetailedMetrics& d) { return Format(d.kuiper); }},
    {"Spiegelhalter Z", [](const DetailedMetrics& d) { return Format(d.spiegelhalter); }},
    {"AUROC of confidence", [](const DetailedMetrics& d) { return Format(d.auroc); }},
    {"NLL, 95 %", [](const DetailedMetrics& d) { return Format(d.nll); }},
    {"Brier score, 95 %", [](const DetailedMetrics& d) { return Format(d.brier); }},
    {"  calibration + refinement",
     [](const DetailedMetrics& d) {
       if (!d.brier_parts.has_value()) return std::string("-");
       return absl::StrCat(FormatMetric(d.brier_parts->calibration), " + ",
                           FormatMetric(d.brier_parts->refinement));
     }},
    {"  within bins, uncertainty",
     [](const DetailedMetrics& d) {
       if (!d.brier_parts.has_value()) return std::string("-");
       return absl::StrCat(FormatMetric(d.brier_parts->within_bins), ", ",
                           FormatMetric(d.brier_parts->uncertainty));
     }},
};

}  // namespace

std::vector<std::vector<std::string>> DetailsRows(absl::Span<const NamedMetrics> columns) {
  std::vector<std::vector<std::string>> rows;
  const auto has_details = [](const NamedMetrics& column) { return column.details.has_value(); };
  if (std::none_of(columns.begin(), columns.end(), has_details)) return rows;
  for (const Detail& detail : kDetails) {
    std::vector<std::string> row = {detail.name};
    for (const NamedMetrics& column : columns) {
      const bool known = column.details.has_value() && column.details->n > 0;
      row.push_back(known ? detail.format(*column.details) : "-");
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace calserve::cli
