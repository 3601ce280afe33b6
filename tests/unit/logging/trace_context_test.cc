#include "server/logging/trace_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

// The examples of https://www.w3.org/TR/trace-context/, section 3.2.4.
constexpr char kSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr char kNotSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

TEST(TraceParentTest, ReadsTheRecommendationsExamples) {
  const auto parent = ParseTraceParent(kSampled);
  ASSERT_TRUE(parent.has_value());
  EXPECT_EQ(parent->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(parent->parent_id, "00f067aa0ba902b7");
  EXPECT_TRUE(parent->sampled);
  ASSERT_TRUE(ParseTraceParent(kNotSampled).has_value());
  EXPECT_FALSE(ParseTraceParent(kNotSampled)->sampled);
}

TEST(TraceParentTest, LooksAtTheSampledBitAlone) {
  EXPECT_TRUE(ParseTraceParent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff")->sampled);
  EXPECT_FALSE(ParseTraceParent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe")->sampled);
}

TEST(TraceParentTest, TakesALaterVersionAndWhatFollowsItsFlags) {
  const std::string rest = std::string(kSampled).substr(2);
  EXPECT_TRUE(ParseTraceParent("cc" + rest).has_value());
  EXPECT_TRUE(ParseTraceParent("cc" + rest + "-what-the-future-will-be-like").has_value());
  EXPECT_FALSE(ParseTraceParent("cc" + rest + ".what-the-future-will-be-like").has_value());
}

TEST(TraceParentTest, RefusesWhatTheRecommendationHasIgnored) {
  const std::string rest = std::string(kSampled).substr(2);
  EXPECT_FALSE(ParseTraceParent("").has_value());
  EXPECT_FALSE(ParseTraceParent("ff" + rest).has_value());
  EXPECT_FALSE(ParseTraceParent("0" + rest).has_value());
  EXPECT_FALSE(ParseTraceParent("000" + rest).has_value());
  EXPECT_FALSE(ParseTraceParent(std::string(kSampled) + "-").has_value());
  EXPECT_FALSE(ParseTraceParent(std::string(kSampled) + "x").has_value());
  EXPECT_FALSE(ParseTraceParent(std::string(kSampled) + " ").has_value());
  EXPECT_FALSE(ParseTraceParent(std::string(kSampled).substr(0, 54)).has_value());
  for (const char* header : {"00-00000000000000000000000000000000-00f067aa0ba902b7-01",  // no trace
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",  // no span
                             "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",  // upper case
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A",
                             "0.-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e473.-00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b.-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-.1",
                             "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
                             " 0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e47361-0f067aa0ba902b7-01"}) {
    EXPECT_FALSE(ParseTraceParent(header).has_value()) << header;
  }
}

TEST(TraceStateTest, TakesTheRecommendationsExamples) {
  EXPECT_TRUE(IsTraceState("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
  EXPECT_TRUE(IsTraceState("congo=t61rcWkgMzE"));
  EXPECT_TRUE(IsTraceState("vendorname1=opaqueValue1,vendorname2=opaqueValue2"));
  EXPECT_TRUE(IsTraceState("fw529a3039@dt=FfIr;a b"));
  EXPECT_TRUE(IsTraceState("1a-2f@foo=1 , \tbar=2,,"));
  EXPECT_TRUE(IsTraceState(absl::StrCat(std::string(256, 'k'), "=1")));
}

TEST(TraceStateTest, RefusesWhatIsMalformedTwiceThereOrTooLong) {
  for (const char* header :
       {"", ",", "foo", "foo =1", "FOO=1", "foo=", "foo=1,foo=2", "=1", "1foo=1", "foo.bar=1", "foo@=1",
        "@foo=1", "foo@@bar=1", "foo@1bar=1", "foo=bar=baz", "foo=b\x01r", "foo=\xC3\xA9"}) {
    EXPECT_FALSE(IsTraceState(header)) << header;
  }
  EXPECT_FALSE(IsTraceState(absl::StrCat(std::string(257, 'k'), "=1")));
  EXPECT_FALSE(IsTraceState(absl::StrCat("k=", std::string(257, 'v'))));
  EXPECT_FALSE(IsTraceState(absl::StrCat(std::string(242, 't'), "@v=1")));
  EXPECT_FALSE(IsTraceState(absl::StrCat("t@", std::string(15, 'v'), "=1")));
  std::string many;
  for (int i = 0; i < 32; ++i) absl::StrAppend(&many, i == 0 ? "" : ",", "k", i, "=1");
  EXPECT_TRUE(IsTraceState(many));
  EXPECT_FALSE(IsTraceState(many + ",one=more"));
  EXPECT_FALSE(IsTraceState(absl::StrCat("a=", std::string(256, 'v'), ",b=", std::string(256, 'v'))));
}

}  // namespace
}  // namespace calserve
