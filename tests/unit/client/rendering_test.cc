#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_split.h"
#include "client/cli/metrics_table.h"
#include "client/cli/reliability_text.h"
#include "client/cli/set_thresholds_text.h"
#include "client/cli/terminal.h"
#include "client/cli/text_table.h"

namespace calserve::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Terminal Plain() {
  Terminal terminal;
  terminal.utf8 = false;
  terminal.width = 64;  // bars of 20
  return terminal;
}

CalibrationMetrics TwoBins() {
  CalibrationMetrics metrics;
  metrics.n = 30;
  metrics.ece = 0.25;
  metrics.bins = {{0, 0.5, 10, 0.5, 0.75}, {0.5, 0.75, 0, 0, 0}, {0.75, 1, 20, 1.0, 0.5}};
  return metrics;
}

TEST(TextTableTest, AlignsColumnsByWhatIsSeen) {
  TextTable table({{"name"}, {"n", TextTable::Align::kRight}});
  table.AddRow({"é", "1"});
  table.AddRow({"long name", "1000"});
  table.AddRow({TextTable::Cell::Styled("\x1b[31mred\x1b[0m"), "22"});
  EXPECT_EQ(table.ToString(Plain()),
            "name          n\né             1\nlong name  1000\n\x1b[31mred\x1b[0m          22\n");
}

TEST(TextTableTest, ShowsWhatATerminalWouldObey) {
  TextTable table({{"a\x1b[2J"}, {"b", TextTable::Align::kRight}});
  table.AddRow({"\u009b8m\u202e", "1\n"});
  EXPECT_EQ(table.ToString(Plain()), "a\\u001b[2J            b\n\\u009b8m\\u202e  1\\u000a\n");
}

TEST(TextTableTest, LeavesOutAnEmptyHeader) {
  TextTable table({{""}, {""}});
  table.AddRow({"a", "b"});
  EXPECT_EQ(table.ToString(Plain()), "a  b\n");
}

TEST(TerminalTest, StylesOnlyWhereThereIsColour) {
  Terminal terminal;
  EXPECT_EQ(terminal.Bold("x"), "x");
  terminal.colour = true;
  EXPECT_EQ(terminal.Bold("x"), "\x1b[1mx\x1b[0m");
}

TEST(MetricsTableTest, ShowsUnsetAsADash) {
  CalibrationMetrics metrics = TwoBins();
  metrics.nll = 0.123456;
  const std::string table = MetricsTable({{{"before", metrics}, {"after", CalibrationMetrics()}}}, Plain());
  EXPECT_THAT(table, HasSubstr("n                       30      0\n"));
  EXPECT_THAT(table, HasSubstr("NLL (nats)          0.1235      -\n"));
  EXPECT_THAT(table, HasSubstr("ECE                 0.2500      -\n"));
}

TEST(SetThresholdsTextTest, HasALineForEachAndSaysWhereThereIsNone) {
  EXPECT_EQ(SetThresholdsText({{ConformalScore::kAps, 0.1234567, 0.75, 300}}),
            "prediction sets: APS at alpha 0.1234567, threshold 0.75 of 300 rows\n");
  EXPECT_THAT(SetThresholdsText({}), ::testing::StartsWith("prediction sets: none; "));
}

TEST(ReliabilityTextTest, DrawsTheGapOnItsSide) {
  const std::string text = ReliabilityText(TwoBins(), Plain());
  EXPECT_THAT(text, HasSubstr("0.000-0.500  10       0.500     0.750  ##########+++++\n"));
  EXPECT_THAT(text, HasSubstr("0.750-1.000  20       1.000     0.500  ##########..........\n"));
  EXPECT_THAT(text, Not(HasSubstr("0.500-0.750")));
}

TEST(ReliabilityTextTest, ANarrowTerminalHasLessBesideItsBars) {
  Terminal narrow = Plain();
  narrow.width = 40;
  const std::string text = ReliabilityText(TwoBins(), narrow);
  EXPECT_THAT(text, HasSubstr("0.750-1.000     0.500  #########........\n"));
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    EXPECT_LE(DisplayWidth(line), narrow.width) << line;
  }
}

TEST(ReliabilityTextTest, AWideTerminalHasTheIntervalToo) {
  Terminal wide = Plain();
  wide.width = 120;
  EXPECT_THAT(ReliabilityText(TwoBins(), wide), HasSubstr("0.299-0.701"));
}

TEST(ReliabilityTextTest, BinsOfFewerRowsAreLeftOutAndCounted) {
  const std::string text = ReliabilityText(TwoBins(), Plain(), 1);
  EXPECT_THAT(text, HasSubstr("0.750-1.000"));
  EXPECT_THAT(text, Not(HasSubstr("0.000-0.500")));
  EXPECT_THAT(text, HasSubstr("1 bins of fewer rows are left out\n"));
}

TEST(MetricsTableTest, ATerminalGetsAsManyColumnsBesideEachOtherAsFit) {
  Terminal terminal = Plain();
  terminal.interactive = true;
  terminal.width = 44;
  std::vector<NamedMetrics> columns;
  for (const char* name : {"one", "two", "three", "four"}) columns.push_back({name, TwoBins(), {}, {}});
  const std::string table = MetricsTable(columns, terminal);
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(table, '\n'))) {
    EXPECT_LE(DisplayWidth(line), terminal.width) << line;
  }
  EXPECT_THAT(table, HasSubstr("\n\n"));
  EXPECT_THAT(table, HasSubstr("four"));
  terminal.interactive = false;
  EXPECT_THAT(MetricsTable(columns, terminal), Not(HasSubstr("\n\n")));
}

TEST(ReliabilityTextTest, HasNothingToDrawForNoRows) {
  EXPECT_THAT(ReliabilityText(CalibrationMetrics(), Plain()), HasSubstr("bin"));
}

}  // namespace
}  // namespace calserve::cli
