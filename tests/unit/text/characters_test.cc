#include "text/characters.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>

namespace calserve {
namespace {

TEST(CharactersTest, FindsWhatATerminalWouldObey) {
  for (const char* text : {"\x1b[2J", "a\nb", "\x7f", "\u0085", "\u009b31m", "\u061c", "\u200f", "\u2028",
                           "\u202e", "\u2066", "\u2069 end"}) {
    EXPECT_TRUE(HasControlCharacter(text)) << text;
  }
  EXPECT_TRUE(HasControlCharacter(absl::string_view("\0", 1)));
}

TEST(CharactersTest, LetsAllOtherTextBe) {
  for (const char* text :
       {"", "north", "Köln", "\u00a0", "\u202f", "東京", "\u2065", "\u206a", "🦉", "a b ~"}) {
    EXPECT_FALSE(HasControlCharacter(text)) << text;
  }
}

TEST(CharactersTest, TakesCharactersOfEveryLength) {
  for (const auto& [text, point] : {std::pair<absl::string_view, uint32_t>{"a", 'a'},
                                    {"\u00f6!", 0xF6},
                                    {"\u20ac!", 0x20AC},
                                    {"\U0001F989!", 0x1F989},
                                    {"\U0010FFFF", 0x10FFFF}}) {
    const Character first = FirstCharacter(text);
    EXPECT_TRUE(first.valid) << text;
    EXPECT_EQ(first.point, point) << text;
    EXPECT_EQ(first.bytes, text.size() - (text.back() == '!' ? 1 : 0)) << text;
  }
}

TEST(CharactersTest, FindsTheFirstByteThatIsNotUtf8) {
  EXPECT_EQ(FirstInvalidUtf8(""), absl::string_view::npos);
  EXPECT_EQ(FirstInvalidUtf8("Köln 🦉"), absl::string_view::npos);
  EXPECT_EQ(FirstInvalidUtf8("caf\xe9"), 3u);
  EXPECT_EQ(FirstInvalidUtf8("€\xe2\x82"), 3u);
}

TEST(CharactersTest, TakesOneByteOfWhatIsNotUtf8) {
  // A lone continuation, an overlong form, a surrogate, beyond U+10FFFF, cut short, followed by a wrong byte.
  for (const absl::string_view text : {"\x80", "\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xed\xa0\x80",
                                       "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xe2(\xa1"}) {
    const Character first = FirstCharacter(text);
    EXPECT_FALSE(first.valid) << text;
    EXPECT_EQ(first.bytes, 1u) << text;
  }
}

}  // namespace
}  // namespace calserve
