#include "server/logging/escape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace calserve {
namespace {

constexpr size_t kAll = 1 << 20;

std::string Escaped(absl::string_view text, Quoting quoting = Quoting::kQuoted, size_t max = kAll) {
  std::string out;
  AppendEscaped(text, quoting, max, &out);
  return out;
}

TEST(EscapeTest, LeavesOrdinaryTextAsItIs) {
  EXPECT_EQ(Escaped("resnet-18 größe 猫 🐈"), "resnet-18 größe 猫 🐈");
}

TEST(EscapeTest, EscapesEveryC0ControlDelAndEveryC1Control) {
  for (int c = 0; c < 0x20; ++c) {
    const std::string out = Escaped(std::string(1, static_cast<char>(c)), Quoting::kBare);
    EXPECT_EQ(out.size(), 6u) << c;
    EXPECT_EQ(out.substr(0, 4), "\\u00") << c;
  }
  EXPECT_EQ(Escaped("\x7f"), "\\u007f");
  for (int c = 0x80; c < 0xA0; ++c) {
    EXPECT_EQ(Escaped(std::string("\xC2") + static_cast<char>(c)).substr(0, 4), "\\u00") << c;
  }
  EXPECT_EQ(Escaped("\xC2\xA0"), "\xC2\xA0");  // No-break space is none.
}

TEST(EscapeTest, EscapesUnicodesLineEndsAndDirections) {
  EXPECT_EQ(Escaped("a\u2028b\u2029c"), "a\\u2028b\\u2029c");
  EXPECT_EQ(Escaped("\u202Eevil\u2066"), "\\u202eevil\\u2066");
}

TEST(EscapeTest, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(Escaped("\xff"), "\\ufffd");
  EXPECT_EQ(Escaped("\xC0\x8A"), "\\ufffd\\ufffd");                // an overlong line feed
  EXPECT_EQ(Escaped("\xE0\x80\x8A"), "\\ufffd\\ufffd\\ufffd");     // another
  EXPECT_EQ(Escaped("\xED\xA0\x80"), "\\ufffd\\ufffd\\ufffd");     // a surrogate
  EXPECT_EQ(Escaped("\xF4\x90\x80\x80").substr(0, 6), "\\ufffd");  // beyond U+10FFFF
  EXPECT_EQ(Escaped("a\xE2\x82"), "a\\ufffd\\ufffd");              // cut off
  EXPECT_EQ(Escaped("\x85"), "\\ufffd");                           // C1 without its lead byte
}

TEST(EscapeTest, QuotesAndBackslashesCannotEndTheQuotes) {
  EXPECT_EQ(Escaped("a\"b\\c"), "a\\\"b\\\\c");
  EXPECT_EQ(Escaped("a\"b\\c", Quoting::kBare), "a\"b\\c");
}

TEST(EscapeTest, WhatIsQuotedIsJsonOfTheSameText) {
  const std::string text = std::string("\0\n\r\t\x1b[31m\"\\", 10) + "\u2028 é 🐈\x7f";
  EXPECT_EQ(nlohmann::json::parse("\"" + Escaped(text) + "\"").get<std::string>(), text);
}

TEST(EscapeTest, AnyTwoBytesMakeJsonOfOneLine) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text = {static_cast<char>(a), static_cast<char>(b)};
      const std::string out = "\"" + Escaped(text) + "\"";
      ASSERT_TRUE(nlohmann::json::accept(out)) << a << " " << b;
      for (const char c : out) ASSERT_GE(static_cast<unsigned char>(c), 0x20) << a << " " << b;
    }
  }
}

TEST(EscapeTest, CutsWhatIsTooLongBetweenTwoCharactersAndSaysSo) {
  EXPECT_EQ(Escaped("abcdef", Quoting::kBare, 4), "abcd... (+2 bytes)");
  EXPECT_EQ(Escaped("abcé", Quoting::kBare, 4), "abc... (+2 bytes)");
  EXPECT_EQ(Escaped("abcd", Quoting::kBare, 4), "abcd");
}

}  // namespace
}  // namespace calserve
