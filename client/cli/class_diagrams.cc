#include "client/cli/class_diagrams.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/metrics_table.h"
#include "client/cli/reliability_svg.h"

namespace calserve::cli {
namespace {

constexpr double kLeft = 30, kTop = 44, kSide = 140;  // user units

double EceOf(const std::vector<ReliabilityBin>& bins) {
  double rows = 0, gaps = 0;
  for (const ReliabilityBin& bin : bins) {
    rows += bin.count;
    gaps += bin.count * std::abs(bin.accuracy - bin.confidence);
  }
  return rows > 0 ? gaps / rows : 0;
}

}  // namespace

std::vector<ClassDiagram> MostFrequentClasses(const ClasswiseSums& sums, int classes,
                                              const std::vector<std::string>& names) {
  std::vector<int> order(static_cast<size_t>(classes));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return sums.labelled(a) > sums.labelled(b); });
  std::vector<ClassDiagram> out;
  for (const int k : order) {
    if (static_cast<int>(out.size()) == kMaxClassDiagrams || sums.labelled(k) == 0) break;
    ClassDiagram diagram;
    diagram.index = k;
    diagram.name = names.empty() ? absl::StrCat("class ", k) : names[static_cast<size_t>(k)];
    diagram.labelled = sums.labelled(k);
    diagram.bins = sums.ReliabilityOf(k);
    diagram.ece = EceOf(diagram.bins);
    out.push_back(std::move(diagram));
  }
  return out;
}

Svg ClassSvg(const ClassDiagram& diagram) {
  const auto x = [](double share) { return kLeft + kSide * share; };
  const auto y = [](double share) { return kTop + kSide * (1 - share); };
  Svg svg(kLeft + kSide + 12, kTop + kSide + 24, absl::StrCat("Reliability of ", diagram.name),
          absl::StrCat("How often rows are of this class, by its probability. ", diagram.labelled,
                       " rows are; ECE ", FormatMetric(diagram.ece), "."));
  svg.Text(8, 18, "start", 13, KeepStart(diagram.name, 24));
  svg.Text(8, 34, "start", 11,
           absl::StrCat("ECE ", FormatMetric(diagram.ece), ", ", diagram.labelled, " rows"), "muted");
  for (const double share : {0.0, 0.5, 1.0}) {
    svg.Line(x(share), y(0), x(share), y(1), "grid");
    svg.Line(x(0), y(share), x(1), y(share), "grid");
    svg.Text(x(share), y(0) + 15, "middle", 10, absl::StrFormat("%g", share), "muted");
    svg.Text(x(0) - 5, y(share) + 4, "end", 10, absl::StrFormat("%g", share), "muted");
  }
  svg.Line(x(0), y(0), x(1), y(1), "ideal");
  double largest = 1;
  for (const ReliabilityBin& bin : diagram.bins) largest = std::max(largest, bin.count);
  for (const ReliabilityBin& bin : diagram.bins) {
    if (bin.count <= 0) continue;
    const Estimate share = BinAccuracy(bin, CalibrationMetrics());
    svg.BeginGroup(absl::StrFormat("probability %.4f, %.0f rows: %.4f [%.4f, %.4f] are of this class",
                                   bin.confidence, bin.count, share.value, *share.low, *share.high));
    svg.Line(x(bin.confidence), y(*share.low), x(bin.confidence), y(*share.high), "whisker");
    svg.Circle(x(bin.confidence), y(bin.accuracy), 2 + 2.5 * std::sqrt(bin.count / largest), "accuracy");
    svg.EndGroup();
  }
  return svg;
}

}  // namespace calserve::cli
