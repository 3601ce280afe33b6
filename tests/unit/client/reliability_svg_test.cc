#include "client/cli/reliability_svg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibration/metrics/classwise.h"
#include "client/cli/class_diagrams.h"
#include "client/cli/dot_plot_svg.h"
#include "client/cli/report_html.h"

namespace calserve::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

CalibrationMetrics Metrics() {
  CalibrationMetrics metrics;
  metrics.n = 30;
  metrics.ece = 0.25;
  metrics.ece_low = 0.2;
  metrics.ece_high = 0.3;
  metrics.bins = {{0, 0.5, 10, 0.5, 0.75}, {0.5, 1, 20, 1.0, 0.5}};
  return metrics;
}

// Tags open and close in order, attributes are quoted: what an XML parser would ask for of text such as ours.
bool IsWellFormed(const std::string& xml) {
  std::vector<std::string> open;
  for (size_t at = xml.find('<'); at != std::string::npos; at = xml.find('<', at + 1)) {
    const size_t end = xml.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = xml.substr(at + 1, end - at - 1);
    if (tag.find('<') != std::string::npos || std::count(tag.begin(), tag.end(), '"') % 2 != 0) return false;
    if (tag[0] == '/') {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(tag.substr(0, tag.find_first_of(" \n")));
    }
  }
  return open.empty();
}

TEST(SvgTest, TextIsEscapedForHtmlAndForWhoReadsIt) {
  EXPECT_EQ(EscapeXml("<b title=\"'\">\x1b\u202e&"), "&lt;b title=&quot;&#39;&quot;&gt;\\u001b\\u202e&amp;");
}

TEST(ReliabilitySvgTest, IsWellFormedAndSaysWhatItShows) {
  const Svg chart = ReliabilitySvg(Metrics(), "before");
  for (const std::string& svg : {chart.Inline(), chart.Standalone()}) {
    EXPECT_THAT(svg, StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\""));
    EXPECT_TRUE(IsWellFormed(svg)) << svg;
    EXPECT_THAT(svg, HasSubstr("<title>Reliability diagram: before</title>"));
    EXPECT_THAT(svg, HasSubstr("ECE 0.2500 [0.2000, 0.3000]"));
  }
  // A file has its own colours; a page has them once.
  EXPECT_THAT(chart.Standalone(), HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(chart.Inline(), Not(HasSubstr("<style")));
}

TEST(ReliabilitySvgTest, EveryBinSaysItsRowsAndItsInterval) {
  const std::string svg = ReliabilitySvg(Metrics(), "before").Inline();
  // Wilson's interval of 10 of 20 rows.
  EXPECT_THAT(svg, HasSubstr("confidence 0.500 to 1.000: 20 rows, mean confidence 1.0000, accuracy 0.5000 "
                             "[0.2993, 0.7007]"));
  EXPECT_THAT(svg, HasSubstr(">20</text>"));
}

TEST(ReliabilitySvgTest, ABinOfADecayingWindowCountsItsEffectiveRows) {
  CalibrationMetrics metrics = Metrics();
  metrics.n = 30;
  metrics.n_effective = 15;
  const Estimate half = BinAccuracy(metrics.bins[1], metrics);
  EXPECT_NEAR(*half.high - *half.low, *WilsonEstimate(5, 10).high - *WilsonEstimate(5, 10).low, 1e-12);
}

TEST(ReliabilitySvgTest, EscapesTheTitle) {
  const std::string svg = ReliabilitySvg(Metrics(), "<script>\"&'\x01").Inline();
  EXPECT_TRUE(IsWellFormed(svg));
  EXPECT_THAT(svg, HasSubstr("&lt;script&gt;&quot;&amp;&#39;\\u0001<"));
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
}

TEST(ReliabilitySvgTest, DrawsNoRows) {
  EXPECT_TRUE(IsWellFormed(ReliabilitySvg(CalibrationMetrics(), "").Standalone()));
  EXPECT_TRUE(IsWellFormed(ConfidenceSvg(CalibrationMetrics(), "").Standalone()));
}

TEST(ReliabilitySvgTest, CountsAreShort) {
  EXPECT_EQ(CompactCount(842), "842");
  EXPECT_EQ(CompactCount(9999), "9999");
  EXPECT_EQ(CompactCount(12'345), "12.3k");
  EXPECT_EQ(CompactCount(999'499), "999k");
  EXPECT_EQ(CompactCount(1'234'567), "1.2M");
}

TEST(SvgTest, ALongTextIsCutBetweenCharacters) {
  EXPECT_EQ(KeepStart("short", 5), "short");
  EXPECT_EQ(KeepStart("ab\u00e9cd", 4), "ab\u2026");  // the third byte is half a character
  EXPECT_EQ(KeepEnd("ab\u00e9cd", 4), "\u2026cd");
}

TEST(ConfidenceSvgTest, StacksTheRightAndTheWrong) {
  const std::string svg = ConfidenceSvg(Metrics(), "before").Inline();
  EXPECT_TRUE(IsWellFormed(svg));
  EXPECT_THAT(svg, HasSubstr("class=\"right\""));
  EXPECT_THAT(svg, HasSubstr("class=\"wrong\""));
}

TEST(ClassDiagramsTest, TheMostFrequentComeFirstAndNoMoreThanTheLimit) {
  ClasswiseSums sums(30, 15, 0);
  std::vector<float> row(30, 0);
  row[0] = 1;
  for (int k = 0; k < 30; ++k) {
    for (int times = 0; times < (k == 7 ? 5 : k == 9 ? 0 : 1); ++times) sums.Add(row, k);
  }
  const std::vector<ClassDiagram> classes = MostFrequentClasses(sums, 30, {});
  ASSERT_EQ(classes.size(), static_cast<size_t>(kMaxClassDiagrams));
  EXPECT_EQ(classes[0].name, "class 7");
  EXPECT_EQ(classes[0].labelled, 5);
  EXPECT_EQ(classes[1].index, 0);
  for (const ClassDiagram& one : classes) EXPECT_NE(one.index, 9);
  EXPECT_TRUE(IsWellFormed(ClassSvg(classes[0]).Inline()));
  // Class 0 has probability 1 in all 33 rows and is right in one.
  EXPECT_NEAR(classes[1].ece, 32.0 / 33, 1e-12);
}

TEST(DotPlotTest, HoldsEveryValueWithinItsWidth) {
  const std::string svg =
      DotPlotSvg("ECE", "", {{"a", 0.1, 0.05, 0.2, 0.01, false}, {"b < c", 0.3, {}, {}, {}, true}}, true)
          .Inline();
  EXPECT_TRUE(IsWellFormed(svg));
  EXPECT_THAT(svg, HasSubstr("b &lt; c"));
  EXPECT_THAT(svg, HasSubstr("0.1000 [0.0500, 0.2000]"));
  EXPECT_TRUE(IsWellFormed(DotPlotSvg("none", "", {}, true).Inline()));
  EXPECT_TRUE(IsWellFormed(DotPlotSvg("equal", "", {{"a", 0, {}, {}, {}, false}}, true).Inline()));
}

TEST(ReportHtmlTest, HoldsTheTableAndEveryDiagram) {
  const std::string html =
      ReportHtml("a < b", {{"one & two"}}, {{{"before", Metrics(), {}, {}}, {"after", Metrics(), {}, {}}}});
  EXPECT_THAT(html, HasSubstr("<h1>a &lt; b</h1>"));
  EXPECT_THAT(html, HasSubstr("<p>one &amp; two</p>"));
  for (const char* part : {"Reliability diagram: before", "Reliability diagram: after",
                           "Confidence histogram: after", "Side by side", "<html lang=\"en\">",
                           "prefers-color-scheme: dark", "@media print", "<th scope=\"row\">ECE</th>"}) {
    EXPECT_THAT(html, HasSubstr(part));
  }
  EXPECT_THAT(html, Not(HasSubstr("<h2>Classes")));
  EXPECT_THAT(html, Not(HasSubstr("<h2>Methods")));
}

TEST(ReportHtmlTest, ShowsWhatAutoComparedAndWhatItTook) {
  MethodComparison none, temperature, failed;
  none.nll = 1;
  none.nll_excess = 0.2;
  temperature.method = CalibrationMethod::kTemperature;
  failed.method = CalibrationMethod::kPlattOneVsRest;
  failed.failure = "no < rows";
  const std::vector<MethodComparison> comparison = {none, temperature, failed};
  const std::string html = ReportHtml("t", {}, {{{"before", Metrics(), {}, {}}}},
                                      {comparison, CalibrationMethod::kTemperature, true});
  EXPECT_THAT(html, HasSubstr("<tr class=\"chosen\"><th scope=\"row\">temperature</th>"));
  EXPECT_THAT(html, HasSubstr("selected, optimistic"));
  EXPECT_THAT(html, HasSubstr("no &lt; rows"));
  EXPECT_THAT(html, HasSubstr("★ temperature"));
}

// No network: the one address is the name of SVG's namespace.
TEST(ReportHtmlTest, NeedsNeitherScriptsNorTheNetwork) {
  std::string html = ReportHtml("t", {}, {{{"before", Metrics(), {}, {}}}});
  const std::string name = "xmlns=\"http://www.w3.org/2000/svg\"";
  for (size_t at = html.find(name); at != std::string::npos; at = html.find(name))
    html.erase(at, name.size());
  for (const char* part : {"<script", "http:", "https:", "//", "url(", "@import", "src=", "href="}) {
    EXPECT_THAT(html, Not(HasSubstr(part)));
  }
}

}  // namespace
}  // namespace calserve::cli
