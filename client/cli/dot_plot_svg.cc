#include "client/cli/dot_plot_svg.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace calserve::cli {
namespace {

// User units: as wide as a reliability diagram, two lines a dot, so that a phone shows the names too.
constexpr double kLeft = 12, kPlot = 324, kWidth = kLeft + kPlot + 12;
constexpr double kTop = 52, kRow = 34;

struct Range {
  double low = 0, high = 1;
};

Range RangeOf(const std::vector<Dot>& dots, bool from_zero) {
  Range range{dots[0].value, dots[0].value};
  const auto include = [&](double value) {
    range.low = std::min(range.low, value);
    range.high = std::max(range.high, value);
  };
  if (from_zero) include(0);
  for (const Dot& dot : dots) {
    for (const std::optional<double> value :
         {std::optional<double>(dot.value), dot.low, dot.high, dot.mark}) {
      if (value.has_value()) include(*value);
    }
  }
  const double room = range.high > range.low ? (range.high - range.low) * 0.04 : 0.5;
  range.high += room;
  if (!from_zero || range.low < 0) range.low -= room;
  return range;
}

// A step of 1, 2 or 5 times a power of ten, of which about four fit.
double TickStep(const Range& range) {
  const double raw = (range.high - range.low) / 4, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power) return factor * power;
  }
  return 10 * power;
}

std::string ValueText(const Dot& dot) {
  std::string text = FormatMetric(dot.value);
  if (dot.low.has_value() && dot.high.has_value()) {
    absl::StrAppend(&text, " [", FormatMetric(dot.low), ", ", FormatMetric(dot.high), "]");
  }
  return text;
}

std::string Description(const std::vector<Dot>& dots) {
  std::string text;
  for (const Dot& dot : dots) absl::StrAppend(&text, dot.name, " ", ValueText(dot), "; ");
  return text;
}

}  // namespace

Svg DotPlotSvg(absl::string_view title, absl::string_view note, const std::vector<Dot>& dots,
               bool from_zero) {
  const double bottom = kTop + kRow * static_cast<double>(dots.size());
  Svg svg(kWidth, bottom + 26, title, Description(dots));
  svg.Text(kLeft, 20, "start", 14, title);
  svg.Text(kLeft, 38, "start", 11, note, "muted");
  if (dots.empty()) return svg;
  const Range range = RangeOf(dots, from_zero);
  const auto x = [&](double value) { return kLeft + kPlot * (value - range.low) / (range.high - range.low); };
  const double step = TickStep(range);
  for (double tick = std::ceil(range.low / step) * step; tick <= range.high; tick += step) {
    svg.Line(x(tick), kTop, x(tick), bottom, "grid");
    svg.Text(x(tick), bottom + 16, "middle", 11,
             absl::StrFormat("%.3g", std::abs(tick) < step / 2 ? 0 : tick), "muted");
  }
  double y = kTop;
  for (const Dot& dot : dots) {
    const std::string value = ValueText(dot);
    svg.Text(kLeft, y + 13, "start", 12, absl::StrCat(dot.emphasised ? "★ " : "", KeepEnd(dot.name, 30)));
    svg.Text(kLeft + kPlot, y + 13, "end", 11, value, "muted");
    const double at = y + 23;
    svg.BeginGroup(absl::StrCat(dot.name, ": ", value));
    if (dot.low.has_value() && dot.high.has_value()) svg.Line(x(*dot.low), at, x(*dot.high), at, "whisker");
    if (dot.mark.has_value()) svg.Line(x(*dot.mark), at - 6, x(*dot.mark), at + 6, "claim");
    svg.Circle(x(dot.value), at, 4.5, "accuracy");
    svg.EndGroup();
    y += kRow;
  }
  svg.Line(kLeft, bottom, kLeft + kPlot, bottom, "axis");
  return svg;
}

std::vector<Svg> ColumnComparison(absl::Span<const NamedMetrics> columns) {
  std::vector<Dot> ece, nll;
  for (const NamedMetrics& column : columns) {
    const CalibrationMetrics& m = column.metrics;
    if (m.n == 0) continue;
    ece.push_back({column.name, m.ece, m.ece_low, m.ece_high, m.noise_floor, false});
    if (!m.nll.has_value()) continue;
    Dot dot{column.name, *m.nll, {}, {}, {}, false};
    if (column.details.has_value() && column.details->nll.has_value()) {
      dot.low = column.details->nll->low;
      dot.high = column.details->nll->high;
    }
    nll.push_back(std::move(dot));
  }
  std::vector<Svg> charts;
  if (ece.size() > 1) {
    charts.push_back(DotPlotSvg("ECE", "95 % interval; tick: the noise floor", ece, true));
  }
  if (nll.size() > 1)
    charts.push_back(DotPlotSvg("Negative log-likelihood (nats)", "less is better", nll, false));
  return charts;
}

std::vector<Svg> MethodComparisonCharts(absl::Span<const MethodComparison> comparison,
                                        CalibrationMethod chosen) {
  std::vector<Dot> excess, ece;
  for (const MethodComparison& row : comparison) {
    if (!row.failure.empty()) continue;
    const std::string name = MethodName(row.method);
    const bool emphasised = row.method == chosen;
    excess.push_back({name,
                      row.nll_excess,
                      row.nll_excess - row.standard_error,
                      row.nll_excess + row.standard_error,
                      {},
                      emphasised});
    ece.push_back({name, row.ece, {}, {}, {}, emphasised});
  }
  if (excess.empty()) return {};
  return {DotPlotSvg("NLL above the best (nats)", "± one standard error of the paired difference; ★ chosen",
                     excess, true),
          DotPlotSvg("ECE on rows left out", "★ chosen", ece, true)};
}

}  // namespace calserve::cli
