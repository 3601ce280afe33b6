#include "client/cli/watch_screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_split.h"

namespace calserve::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Terminal TerminalOf(int width, int height) {
  Terminal terminal;
  terminal.interactive = true;
  terminal.width = width;
  terminal.height = height;
  return terminal;
}

std::map<std::string, client::WindowReport> Newest() {
  std::map<std::string, client::WindowReport> newest;
  for (const auto& [window, n] : {std::pair{"last_1000", 1000}, {"last_1h", 60}}) {
    client::WindowReport report;
    report.model = "shoes";
    report.window = window;
    report.served.n = n;
    report.served.n_effective = n;
    for (int b = 0; b < 15; ++b) {
      report.served.bins.push_back({b / 15.0, (b + 1) / 15.0, b + 1.0, (b + 0.5) / 15, 0.5});
    }
    newest[window] = report;
  }
  return newest;
}

std::vector<std::string> Lines(const std::string& text) { return absl::StrSplit(text, '\n'); }

TEST(WatchScreenTest, ShowsTheWindowsAndTheDiagramOfTheLargest) {
  const std::string screen = WatchScreen(Newest(), TerminalOf(100, 40));
  for (const char* part : {"shoes/0", "last_1h", "uncalibrated", "0.933-1.000", "█"}) {
    EXPECT_THAT(screen, HasSubstr(part));
  }
  EXPECT_GT(screen.rfind("last_1000"), screen.rfind("last_1h"));  // the diagram's heading is the last
  EXPECT_EQ(WatchScreen({}, TerminalOf(80, 24)), "");
}

TEST(WatchScreenTest, ShowsWhatATerminalWouldObey) {
  std::map<std::string, client::WindowReport> newest = Newest();
  newest["last_1000"].model = "a\x1b[2J";
  newest["last_1000"].slice = client::Slice{"camera", "\u009b8m"};
  const std::string screen = WatchScreen(newest, TerminalOf(100, 40));
  EXPECT_THAT(screen, HasSubstr("a\\u001b[2J/0 camera=\\u009b8m"));
  EXPECT_EQ(screen.find('\x1b'), std::string::npos);
}

TEST(WatchScreenTest, AWindowWithoutALabelHasDashes) {
  std::map<std::string, client::WindowReport> newest = Newest();
  newest["last_24h"].window = "last_24h";
  const std::string screen = WatchScreen(newest, TerminalOf(100, 40));
  EXPECT_THAT(screen, ::testing::ContainsRegex("last_24h +0 +0 +- +- +- +- +- +-\n"));
  EXPECT_THAT(screen, Not(HasSubstr("last_24h  0.0000")));
}

TEST(WatchScreenTest, FitsATerminalOfAnyUsefulSize) {
  for (const int width : {40, 59, 80, 99, 200}) {
    for (const int height : {18, 24, 50}) {
      const Terminal terminal = TerminalOf(width, height);
      const std::vector<std::string> lines = Lines(WatchScreen(Newest(), terminal));
      EXPECT_LE(static_cast<int>(lines.size()), height);
      for (const std::string& line : lines) EXPECT_LE(DisplayWidth(line), width) << line;
    }
  }
  EXPECT_THAT(WatchScreen(Newest(), TerminalOf(80, 18)), HasSubstr("bins of fewer rows are left out"));
  EXPECT_THAT(WatchScreen(Newest(), TerminalOf(80, 50)), Not(HasSubstr("left out")));
}

TEST(WatchScreenTest, HasNoColourWhereTheTerminalHasNone) {
  EXPECT_EQ(WatchScreen(Newest(), TerminalOf(80, 24)).find('\x1b'), std::string::npos);
  Terminal terminal = TerminalOf(80, 24);
  terminal.colour = true;
  EXPECT_THAT(WatchScreen(Newest(), terminal), HasSubstr("\x1b[31m"));
}

TEST(WatchScreenTest, RedrawingClearsWhatIsLeftOfEveryLineAndNeverScrolls) {
  const std::string drawn = Redraw("one\ntwo\nthree\nfour\n", TerminalOf(4, 4));
  EXPECT_EQ(drawn, "\x1b[Hone\x1b[K\ntwo\x1b[K\nthre\x1b[K\n\x1b[J");
}

TEST(WatchScreenTest, AClippedLineKeepsItsStylesClosed) {
  EXPECT_EQ(ClipLine("\x1b[31mabcdef\x1b[0m", 3), "\x1b[31mabc\x1b[0m");
  EXPECT_EQ(ClipLine("\u00e9\u00e9\u00e9", 2), "\u00e9\u00e9");
  EXPECT_EQ(ClipLine("ab", 5), "ab");
}

}  // namespace
}  // namespace calserve::cli
