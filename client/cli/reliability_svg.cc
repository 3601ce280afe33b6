#include "client/cli/reliability_svg.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "client/cli/metrics_table.h"

namespace calserve::cli {
namespace {

// Everything in SVG user units.
constexpr double kLeft = 52, kTop = 52, kSide = 280;                  // the plot, a square
constexpr double kHistogramTop = kTop + kSide + 44, kHistogram = 60;  // below it
constexpr double kWidth = kLeft + kSide + 16, kHeight = kHistogramTop + kHistogram + 40;

constexpr char kInk[] = "#222222", kGrid[] = "#dddddd", kAccuracy[] = "#3b6fb6", kGap[] = "#d1495b";

double X(double share) { return kLeft + kSide * share; }
double Y(double share) { return kTop + kSide * (1 - share); }

void Text(double x, double y, const char* anchor, int size, absl::string_view text, std::string* out) {
  absl::StrAppendFormat(
      out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\" fill=\"%s\">%s</text>\n", x, y,
      anchor, size, kInk, EscapeXml(text));
}

void Rect(double x, double y, double width, double height, const char* fill, double opacity,
          std::string* out) {
  absl::StrAppendFormat(
      out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\" fill-opacity=\"%.2f\"/>\n",
      x, y, std::max(width, 0.0), std::max(height, 0.0), fill, opacity);
}

void Line(double x1, double y1, double x2, double y2, const char* stroke, const char* dashes,
          std::string* out) {
  absl::StrAppendFormat(out,
                        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
                        "stroke-dasharray=\"%s\"/>\n",
                        x1, y1, x2, y2, stroke, dashes);
}

void Axes(std::string* out) {
  for (int i = 0; i <= 5; ++i) {
    const double share = i / 5.0;
    Line(X(share), Y(0), X(share), Y(1), kGrid, "none", out);
    Line(X(0), Y(share), X(1), Y(share), kGrid, "none", out);
    Text(X(share), Y(0) + 16, "middle", 11, absl::StrFormat("%.1f", share), out);
    Text(X(0) - 6, Y(share) + 4, "end", 11, absl::StrFormat("%.1f", share), out);
  }
  Text(X(0.5), Y(0) + 32, "middle", 12, "confidence", out);
  absl::StrAppendFormat(
      out,
      "<text transform=\"translate(14 %.1f) rotate(-90)\" text-anchor=\"middle\" font-size=\"12\" "
      "fill=\"%s\">accuracy</text>\n",
      Y(0.5), kInk);
}

void Bins(const CalibrationMetrics& metrics, std::string* out) {
  double largest = 1;
  for (const ReliabilityBin& bin : metrics.bins) largest = std::max(largest, bin.count);
  for (const ReliabilityBin& bin : metrics.bins) {
    if (bin.count <= 0) continue;
    const double x = X(bin.lower) + 0.5, width = X(bin.upper) - X(bin.lower) - 1;
    Rect(x, Y(bin.accuracy), width, Y(0) - Y(bin.accuracy), kAccuracy, 0.85, out);
    const double high = std::max(bin.accuracy, bin.confidence), low = std::min(bin.accuracy, bin.confidence);
    Rect(x, Y(high), width, Y(low) - Y(high), kGap, 0.55, out);
    const double height = kHistogram * bin.count / largest;
    Rect(x, kHistogramTop + kHistogram - height, width, height, "#777777", 0.8, out);
  }
  Text(X(0), kHistogramTop + kHistogram + 14, "start", 11,
       absl::StrFormat("rows a bin, the fullest %.0f", largest), out);
}

void Legend(std::string* out) {
  const double y = kHistogramTop + kHistogram + 26;
  Rect(X(0), y - 9, 10, 10, kAccuracy, 0.85, out);
  Text(X(0) + 15, y, "start", 11, "accuracy", out);
  Rect(X(0) + 80, y - 9, 10, 10, kGap, 0.55, out);
  Text(X(0) + 95, y, "start", 11, "gap to the confidence", out);
}

}  // namespace

std::string EscapeXml(absl::string_view text) {
  std::string out = absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
  // Control characters are not allowed in XML at all.
  out.erase(std::remove_if(out.begin(), out.end(),
                           [](unsigned char c) { return c < 0x20 && c != '\n' && c != '\t'; }),
            out.end());
  return out;
}

std::string ReliabilitySvg(const CalibrationMetrics& metrics, absl::string_view title) {
  std::string ece = absl::StrCat("ECE ", FormatMetric(metrics.ece));
  if (metrics.ece_low.has_value() && metrics.ece_high.has_value()) {
    absl::StrAppend(&ece, " [", FormatMetric(metrics.ece_low), ", ", FormatMetric(metrics.ece_high), "]");
  }
  std::string out = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 "
      "%.0f %.0f\" "
      "font-family=\"sans-serif\">\n<title>Reliability diagram: %s</title>\n"
      "<desc>Accuracy by confidence over %d rows. %s, noise floor %s. Accuracy %s, mean confidence "
      "%s.</desc>\n",
      kWidth, kHeight, kWidth, kHeight, EscapeXml(title), metrics.n, ece, FormatMetric(metrics.noise_floor),
      FormatMetric(metrics.accuracy), FormatMetric(metrics.mean_confidence));
  Rect(0, 0, kWidth, kHeight, "#ffffff", 1, &out);
  Text(kLeft, 20, "start", 14, title, &out);
  Axes(&out);
  Bins(metrics, &out);
  Line(X(0), Y(0), X(1), Y(1), kInk, "4 3", &out);
  Text(kLeft, 40, "start", 12, absl::StrCat(ece, ", n ", metrics.n), &out);
  Legend(&out);
  absl::StrAppend(&out, "</svg>\n");
  return out;
}

}  // namespace calserve::cli
