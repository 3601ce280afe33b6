#include "server/base/control_characters.h"

#include <gtest/gtest.h>

namespace calserve {
namespace {

TEST(ControlCharactersTest, FindsWhatATerminalWouldObey) {
  for (const char* text : {"\x1b[2J", "a\nb", "\x7f", "\u0085", "\u009b31m", "\u061c", "\u200f", "\u2028",
                           "\u202e", "\u2066", "\u2069 end"}) {
    EXPECT_TRUE(HasControlCharacter(text)) << text;
  }
  EXPECT_TRUE(HasControlCharacter(absl::string_view("\0", 1)));
}

TEST(ControlCharactersTest, LetsAllOtherTextBe) {
  for (const char* text :
       {"", "north", "Köln", "\u00a0", "\u202f", "東京", "\u2065", "\u206a", "🦉", "a b ~"}) {
    EXPECT_FALSE(HasControlCharacter(text)) << text;
  }
}

}  // namespace
}  // namespace calserve
