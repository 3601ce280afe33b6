#include "client/cli/reliability_svg.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/metrics_table.h"

namespace calserve::cli {
namespace {

// Everything in SVG user units.
constexpr double kLeft = 52, kTop = 52, kSide = 280;  // the plot, a square
constexpr double kWidth = kLeft + kSide + 16;

double X(double share) { return kLeft + kSide * share; }
double Y(double share) { return kTop + kSide * (1 - share); }

std::string EceText(const CalibrationMetrics& metrics) {
  std::string text = absl::StrCat("ECE ", FormatMetric(metrics.ece));
  if (metrics.ece_low.has_value() && metrics.ece_high.has_value()) {
    absl::StrAppend(&text, " [", FormatMetric(metrics.ece_low), ", ", FormatMetric(metrics.ece_high), "]");
  }
  return text;
}

// What fits above the plot; a longer title is whole in the figure's <title>.
std::string Shortened(absl::string_view title) { return KeepEnd(title, 44); }

double LargestCount(const CalibrationMetrics& metrics) {
  double largest = 1;
  for (const ReliabilityBin& bin : metrics.bins) largest = std::max(largest, bin.count);
  return largest;
}

std::string BinText(const ReliabilityBin& bin, const Estimate& accuracy) {
  return absl::StrFormat(
      "confidence %.3f to %.3f: %.0f rows, mean confidence %.4f, accuracy %.4f [%.4f, %.4f]", bin.lower,
      bin.upper, bin.count, bin.confidence, bin.accuracy, *accuracy.low, *accuracy.high);
}

void ShareAxis(Svg* svg) {
  for (int i = 0; i <= 5; ++i) {
    const double share = i / 5.0;
    svg->Line(X(share), Y(0), X(share), Y(1), "grid");
    svg->Line(X(0), Y(share), X(1), Y(share), "grid");
    svg->Text(X(share), Y(0) + 16, "middle", 11, absl::StrFormat("%.1f", share), "muted");
    svg->Text(X(0) - 6, Y(share) + 4, "end", 11, absl::StrFormat("%.1f", share), "muted");
  }
  svg->Text(X(0.5), Y(0) + 32, "middle", 12, "confidence");
  svg->VerticalText(14, Y(0.5), "middle", 12, "accuracy");
}

void Legend(double y, Svg* svg) {
  svg->Rect(X(0), y - 9, 10, 10, "accuracy");
  svg->Text(X(0) + 14, y, "start", 11, "accuracy");
  svg->Line(X(0) + 77, y - 10, X(0) + 77, y + 1, "whisker");
  svg->Text(X(0) + 83, y, "start", 11, "95 %");
  svg->Rect(X(0) + 122, y - 9, 10, 10, "gap");
  svg->Line(X(0) + 121, y - 9, X(0) + 133, y - 9, "claim");
  svg->Text(X(0) + 138, y, "start", 11, "gap to the mean confidence");
}

void AccuracyBar(const ReliabilityBin& bin, const Estimate& accuracy, Svg* svg) {
  const double x = X(bin.lower) + 0.5, width = X(bin.upper) - X(bin.lower) - 1, middle = x + width / 2;
  svg->Rect(x, Y(bin.accuracy), width, Y(0) - Y(bin.accuracy), "accuracy");
  const double high = std::max(bin.accuracy, bin.confidence), low = std::min(bin.accuracy, bin.confidence);
  svg->Rect(x, Y(high), width, Y(low) - Y(high), "gap");
  svg->Line(x, Y(bin.confidence), x + width, Y(bin.confidence), "claim");
  const double cap = std::min(3.0, width / 3);
  svg->Line(middle, Y(*accuracy.low), middle, Y(*accuracy.high), "whisker");
  svg->Line(middle - cap, Y(*accuracy.low), middle + cap, Y(*accuracy.low), "whisker");
  svg->Line(middle - cap, Y(*accuracy.high), middle + cap, Y(*accuracy.high), "whisker");
}

}  // namespace

Estimate BinAccuracy(const ReliabilityBin& bin, const CalibrationMetrics& metrics) {
  double rows = bin.count;
  if (metrics.n > 0 && metrics.n_effective > 0) rows *= metrics.n_effective / static_cast<double>(metrics.n);
  const auto n = std::max<int64_t>(1, std::llround(rows));
  Estimate estimate = WilsonEstimate(std::llround(bin.accuracy * static_cast<double>(n)), n);
  estimate.value = bin.accuracy;
  estimate.low = std::min(*estimate.low, bin.accuracy);  // where n was rounded
  estimate.high = std::max(*estimate.high, bin.accuracy);
  return estimate;
}

std::string CompactCount(double count) {
  if (count < 9999.5) return absl::StrFormat("%.0f", count);
  if (count < 99'950) return absl::StrFormat("%.1fk", count / 1e3);
  if (count < 999'500) return absl::StrFormat("%.0fk", count / 1e3);
  return absl::StrFormat("%.1fM", count / 1e6);
}

Svg ReliabilitySvg(const CalibrationMetrics& metrics, absl::string_view title) {
  constexpr double kRowsTop = kTop + kSide + 76, kRows = 50;  // the histogram, room for counts above it
  const std::string ece = EceText(metrics);
  Svg svg(kWidth, kRowsTop + kRows + 34, absl::StrCat("Reliability diagram: ", title),
          absl::StrCat("Accuracy by confidence over ", metrics.n, " rows. ", ece, ", noise floor ",
                       FormatMetric(metrics.noise_floor), ". Accuracy ", FormatMetric(metrics.accuracy),
                       ", mean confidence ", FormatMetric(metrics.mean_confidence), "."));
  svg.Text(kLeft, 20, "start", 14, Shortened(title));
  svg.Text(kLeft, 40, "start", 12, absl::StrCat(ece, ", n ", metrics.n), "muted");
  ShareAxis(&svg);
  const double largest = LargestCount(metrics);
  for (const ReliabilityBin& bin : metrics.bins) {
    if (bin.count <= 0) continue;
    const Estimate accuracy = BinAccuracy(bin, metrics);
    svg.BeginGroup(BinText(bin, accuracy));
    AccuracyBar(bin, accuracy, &svg);
    const double x = X(bin.lower) + 0.5, width = X(bin.upper) - X(bin.lower) - 1;
    const double height = kRows * bin.count / largest;
    svg.Rect(x, kRowsTop + kRows - height, width, height, "rows");
    if (width >= 10) {
      svg.VerticalText(x + width / 2 + 3, kRowsTop + kRows - height - 3, "start", 9, CompactCount(bin.count),
                       "muted");
    }
    svg.EndGroup();
  }
  svg.Line(X(0), Y(0), X(1), Y(1), "ideal");
  svg.Line(X(0), kRowsTop + kRows, X(1), kRowsTop + kRows, "axis");
  svg.VerticalText(14, kRowsTop + kRows / 2, "middle", 12, "rows");
  Legend(kRowsTop + kRows + 22, &svg);
  return svg;
}

Svg ConfidenceSvg(const CalibrationMetrics& metrics, absl::string_view title) {
  constexpr double kPlotTop = 52, kPlot = 130;
  const auto y = [&](double share) { return kPlotTop + kPlot * (1 - share); };
  Svg svg(kWidth, kPlotTop + kPlot + 58, absl::StrCat("Confidence histogram: ", title),
          absl::StrCat("Rows by confidence, the right and the wrong, of ", metrics.n, ". Mean confidence ",
                       FormatMetric(metrics.mean_confidence), ", accuracy ", FormatMetric(metrics.accuracy),
                       "."));
  svg.Text(kLeft, 20, "start", 14, Shortened(title));
  svg.Text(kLeft, 40, "start", 12,
           absl::StrCat("accuracy ", FormatMetric(metrics.accuracy), ", mean confidence ",
                        FormatMetric(metrics.mean_confidence)),
           "muted");
  const double largest = LargestCount(metrics);
  for (const double share : {0.0, 0.5, 1.0}) {
    svg.Line(X(0), y(share), X(1), y(share), "grid");
    svg.Text(X(0) - 6, y(share) + 4, "end", 11, CompactCount(share * largest), "muted");
  }
  for (const ReliabilityBin& bin : metrics.bins) {
    if (bin.count <= 0) continue;
    const double x = X(bin.lower) + 0.5, width = X(bin.upper) - X(bin.lower) - 1;
    const double all = bin.count / largest, right = all * bin.accuracy;
    svg.BeginGroup(BinText(bin, BinAccuracy(bin, metrics)));
    svg.Rect(x, y(right), width, y(0) - y(right), "right");
    svg.Rect(x, y(all), width, y(right) - y(all), "wrong");
    svg.EndGroup();
  }
  for (int i = 0; i <= 5; ++i) {
    svg.Text(X(i / 5.0), y(0) + 16, "middle", 11, absl::StrFormat("%.1f", i / 5.0), "muted");
  }
  svg.Line(X(0), y(0), X(1), y(0), "axis");
  if (metrics.n > 0) {
    svg.Line(X(metrics.accuracy), y(0), X(metrics.accuracy), y(1.06), "whisker");
    svg.Line(X(metrics.mean_confidence), y(0), X(metrics.mean_confidence), y(1.06), "ideal");
  }
  const double legend = y(0) + 38;
  svg.Rect(X(0), legend - 9, 10, 10, "right");
  svg.Text(X(0) + 14, legend, "start", 11, "right");
  svg.Rect(X(0) + 50, legend - 9, 10, 10, "wrong");
  svg.Text(X(0) + 64, legend, "start", 11, "wrong");
  svg.Line(X(0) + 108, legend - 10, X(0) + 108, legend + 1, "whisker");
  svg.Text(X(0) + 114, legend, "start", 11, "accuracy");
  svg.Line(X(0) + 174, legend - 10, X(0) + 174, legend + 1, "ideal");
  svg.Text(X(0) + 180, legend, "start", 11, "mean confidence");
  return svg;
}

}  // namespace calserve::cli
