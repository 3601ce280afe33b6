#include "client/cli/printable.h"

#include <gtest/gtest.h>

namespace calserve::cli {
namespace {

TEST(PrintableTest, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(Printable("\x1b]0;title\x07"), "\\u001b]0;title\\u0007");
  EXPECT_EQ(Printable("a\r\n\tb\x7f"), "a\\u000d\\u000a\\u0009b\\u007f");
  EXPECT_EQ(Printable("\u0080\u009b2J\u009f"), "\\u0080\\u009b2J\\u009f");
  EXPECT_EQ(Printable("\u202e\u2066\u200f\u061c\u2028"), "\\u202e\\u2066\\u200f\\u061c\\u2028");
  EXPECT_EQ(Printable(absl::string_view("a\0b", 3)), "a\\u0000b");
}

TEST(PrintableTest, LeavesAllOtherTextAndIsDoneOnce) {
  for (const char* text : {"", "plain", "Köln", "\u00a0", "東京", "🦉", "\\u001b", "a\\n"}) {
    EXPECT_EQ(Printable(text), text);
  }
  EXPECT_EQ(Printable(Printable("\x1b\xff")), Printable("\x1b\xff"));
}

// A terminal that is not set to UTF-8 takes such bytes for C1.
TEST(PrintableTest, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(Printable("\x9b"
                      "2J"),
            "\\x9b2J");
  EXPECT_EQ(Printable("\xe2\x80"), "\\xe2\\x80");
  EXPECT_EQ(Printable("\xc0\x9b"), "\\xc0\\x9b");
  EXPECT_EQ(Printable("\xe2(\x9b"), "\\xe2(\\x9b");
  EXPECT_EQ(Printable("\xf8"), "\\xf8");
}

}  // namespace
}  // namespace calserve::cli
