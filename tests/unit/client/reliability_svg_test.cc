#include "client/cli/reliability_svg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(ReliabilitySvgTest, IsWellFormedAndSaysWhatItShows) {
  const std::string svg = ReliabilitySvg(Metrics(), "before");
  EXPECT_THAT(svg, StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\""));
  EXPECT_TRUE(IsWellFormed(svg)) << svg;
  EXPECT_THAT(svg, HasSubstr("<title>Reliability diagram: before</title>"));
  EXPECT_THAT(svg, HasSubstr("ECE 0.2500 [0.2000, 0.3000]"));
}

TEST(ReliabilitySvgTest, EscapesTheTitle) {
  const std::string svg = ReliabilitySvg(Metrics(), "<script>\"&'\x01");
  EXPECT_TRUE(IsWellFormed(svg));
  EXPECT_THAT(svg, HasSubstr("&lt;script&gt;&quot;&amp;&#39;<"));
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
}

TEST(ReliabilitySvgTest, DrawsNoRows) { EXPECT_TRUE(IsWellFormed(ReliabilitySvg(CalibrationMetrics(), ""))); }

TEST(ReportHtmlTest, HoldsTheTableAndBothDiagrams) {
  const std::string html =
      ReportHtml("a < b", {{"one & two"}}, {{{"before", Metrics()}, {"after", Metrics()}}});
  EXPECT_THAT(html, HasSubstr("<h1>a &lt; b</h1>"));
  EXPECT_THAT(html, HasSubstr("<p>one &amp; two</p>"));
  EXPECT_THAT(html, HasSubstr("Reliability diagram: before"));
  EXPECT_THAT(html, HasSubstr("Reliability diagram: after"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
}

}  // namespace
}  // namespace calserve::cli
