#include "client/cli/option_rules.h"

#include <gtest/gtest.h>

namespace calserve::cli {
namespace {

std::string Broken(const CLI::Validator& rule, std::string text) { return rule(text); }

TEST(OptionRulesTest, TextForACallIsUtf8) {
  for (const char* text : {"", "plain", "gr\xc3\xbc\xc3\x9f", "\xf0\x9f\x91\x9f"}) {
    EXPECT_EQ(Broken(Utf8(), text), "") << text;
  }
  EXPECT_EQ(Broken(Utf8(), "a\xff"), "must be valid UTF-8; was \"a\\xff\"");
  for (const char* text : {"\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80"}) {
    EXPECT_NE(Broken(Utf8(), text), "") << text;
  }
}

TEST(OptionRulesTest, AWholeNumberIsWithinItsBounds) {
  for (const char* text : {"0", "7", "9223372036854775807"}) EXPECT_EQ(Broken(WholeNumber(0), text), "");
  for (const char* text : {"-1", "1.5", "1e3", "", "x", "9223372036854775808"}) {
    EXPECT_EQ(Broken(WholeNumber(0), text), std::string("must be a whole number, 0 or more; was ") + text);
  }
  EXPECT_EQ(Broken(WholeNumber(2, 20), "21"), "must be a whole number, 2 to 20; was 21");
}

}  // namespace
}  // namespace calserve::cli
