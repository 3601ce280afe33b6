#include "server/base/byte_pieces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(BytePiecesTest, PiecesAreOneAfterTheOther) {
  const BytePieces pieces = {"ab", "", "cde"};
  EXPECT_EQ(SizeOf(pieces), 5);
  EXPECT_EQ(JoinPieces(pieces), "abcde");
  std::string to = "-------";
  EXPECT_EQ(CopyPieces(pieces, to.data() + 1), to.data() + 6);
  EXPECT_EQ(to, "-abcde-");
  EXPECT_EQ(SizeOf(BytePieces()), 0);
  EXPECT_EQ(JoinPieces({}), "");
}

TEST(BytePiecesTest, WhatIsCutIsWhereItWas) {
  const std::string first = "abc", second = "defgh";
  const BytePieces pieces = {first, "", second};
  PieceCutter cutter(pieces);
  const BytePieces within = cutter.Next(2);
  ASSERT_THAT(within, ElementsAre("ab"));
  EXPECT_EQ(within[0].data(), first.data());
  EXPECT_THAT(cutter.Next(0), IsEmpty());
  const BytePieces across = cutter.Next(3);
  ASSERT_THAT(across, ElementsAre("c", "de"));
  EXPECT_EQ(across[1].data(), second.data());
  EXPECT_THAT(cutter.Next(3), ElementsAre("fgh"));
  EXPECT_THAT(cutter.Next(0), IsEmpty());
}

TEST(BytePiecesTest, BytesOfFloatsAreLittleEndian) {
  EXPECT_EQ(BytesOf({1.0f, -2.0f}), absl::string_view("\0\0\x80\x3f\0\0\0\xc0", 8));
}

}  // namespace
}  // namespace calserve
