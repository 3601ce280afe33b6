#include "server/logging/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "server/logging/log_formatter.h"
#include "tests/unit/logging/captured_log.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr char kAttack[] = "x\",\"level\":\"error\"}\n{\"time\":\"2026\"}\r\x1b[2J\xC2\x9B\u2028\xff y=1";

// Logs through spdlog's default logger into a string.
class LogTest : public ::testing::TestWithParam<bool> {
 protected:
  bool json() const { return GetParam(); }
  std::string out() const { return captured_.text(); }

  // One line, without anything that a terminal or a reader could take for more.
  void ExpectOneHarmlessLine() const {
    const std::string text = out();
    ASSERT_FALSE(text.empty());
    EXPECT_EQ(text.find('\n'), text.size() - 1);
    EXPECT_TRUE(std::none_of(text.begin(), text.end() - 1,
                             [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
    EXPECT_EQ(text.find("\xC2\x9B"), std::string::npos);
    EXPECT_EQ(text.find("\u2028"), std::string::npos);
    EXPECT_EQ(text.find('\xff'), std::string::npos);
    if (json()) {
      const auto parsed = nlohmann::json::parse(text);
      EXPECT_EQ(parsed["level"], "info");
      EXPECT_FALSE(parsed.contains("y"));
    }
  }

 private:
  CapturedLog captured_{std::make_unique<LogFormatter>(json())};
};
INSTANTIATE_TEST_SUITE_P(Formats, LogTest, ::testing::Bool(),
                         [](const auto& format) { return format.param ? "Json" : "Text"; });

TEST_P(LogTest, SaysTimeLevelMessageAndFields) {
  Log(spdlog::level::warn, "drain", {{"cancelled", 3}, {"took", 0.5}, {"why", "too slow"}, {"model", "m"}});
  if (json()) {
    EXPECT_THAT(out(), MatchesRegex("\\{\"time\":\"[-0-9]+T[0-9:]+\\.[0-9]+Z\",\"level\":\"warn\","
                                    "\"message\":\"drain\",\"cancelled\":3,\"took\":0.5,\"why\":\"too slow\","
                                    "\"model\":\"m\"\\}\n"));
  } else {
    EXPECT_THAT(out(), MatchesRegex("[-0-9]+T[0-9:]+\\.[0-9]+Z warn drain cancelled=3 took=0.5 "
                                    "why=\"too slow\" model=m\n"));
  }
}

TEST_P(LogTest, AFieldOfAnybodysBytesStaysAField) {
  Log(spdlog::level::info, "request", {{"model", kAttack}});
  ExpectOneHarmlessLine();
  if (json()) {
    EXPECT_THAT(nlohmann::json::parse(out())["model"].get<std::string>(),
                HasSubstr("\"level\":\"error\"}\n{"));
  }
}

TEST_P(LogTest, AMessageOfAnybodysBytesStaysAMessage) {
  spdlog::info("{}", kAttack);
  ExpectOneHarmlessLine();
}

TEST_P(LogTest, SpdlogsOwnFormattingOfAnybodysBytesIsNotAFormatString) {
  Log(spdlog::level::info, "{} {:n} %s %", {{"model", "{}"}});
  EXPECT_THAT(out(), HasSubstr("{} {:n} %s %"));
}

TEST_P(LogTest, LinesWithinAScopeCarryItsIds) {
  const RequestContext ids =
      RequestContext::Make("r-1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  {
    const RequestScope scope(ids);
    spdlog::info("calibrator active");
  }
  EXPECT_THAT(out(), HasSubstr("r-1"));
  EXPECT_THAT(out(), HasSubstr("4bf92f3577b34da6a3ce929d0e0e4736"));
  EXPECT_THAT(out(), HasSubstr("00f067aa0ba902b7"));
  if (json()) {
    const auto line = nlohmann::json::parse(out());
    EXPECT_EQ(line["request_id"], "r-1");
    EXPECT_EQ(line["parent_span_id"], "00f067aa0ba902b7");
    EXPECT_EQ(line["span_id"], std::string(ids.span_id()));
  }
  const size_t size = out().size();
  spdlog::info("later");
  EXPECT_THAT(out().substr(size), ::testing::Not(HasSubstr("r-1")));
}

TEST_P(LogTest, ALineIsBounded) {
  Log(spdlog::level::info, std::string(1 << 20, 'm'), {{"model", std::string(1 << 20, 'x')}});
  EXPECT_LT(out().size(), 8000u);
  ExpectOneHarmlessLine();
}

TEST_P(LogTest, ANumberThatJsonHasNotIsNull) {
  Log(spdlog::level::info, "m", {{"x", std::numeric_limits<double>::quiet_NaN()}});
  EXPECT_THAT(out(), HasSubstr("null"));
}

TEST_P(LogTest, TheLevelChangesAtRunTime) {
  ASSERT_TRUE(SetLogLevel("warn").ok());
  EXPECT_EQ(LogLevel(), "warn");
  Log(spdlog::level::info, "not seen");
  EXPECT_EQ(out(), "");
  ASSERT_TRUE(SetLogLevel("debug").ok());
  Log(spdlog::level::debug, "seen");
  EXPECT_THAT(out(), HasSubstr("seen"));
  EXPECT_THAT(SetLogLevel("loud").message(), HasSubstr("debug, info, warn or error; was 'loud'"));
  EXPECT_EQ(LogLevel(), "debug");
}

TEST(LogFormatTest, IsTextOnATerminalAndJsonElsewhereUnlessItIsSaid) {
  EXPECT_EQ(LogFormatFor("auto", true), LogFormat::kText);
  EXPECT_EQ(LogFormatFor("auto", false), LogFormat::kJson);
  EXPECT_EQ(LogFormatFor("text", false), LogFormat::kText);
  EXPECT_EQ(LogFormatFor("json", true), LogFormat::kJson);
}

}  // namespace
}  // namespace calserve
