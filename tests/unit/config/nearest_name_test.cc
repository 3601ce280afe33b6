#include "server/config/nearest_name.h"

#include <gtest/gtest.h>

namespace calserve {
namespace {

TEST(DidYouMeanTest, NamesTheNearest) {
  EXPECT_EQ(DidYouMean("instanecs", {"device", "instances", "input"}), "; did you mean instances?");
  EXPECT_EQ(DidYouMean("max_batch", {"max_batch_size", "task"}), "");
  EXPECT_EQ(DidYouMean("max_batch_siz", {"max_batch_size", "task"}), "; did you mean max_batch_size?");
}

TEST(DidYouMeanTest, IsSilentWhereNothingIsNear) {
  EXPECT_EQ(DidYouMean("colour_of_the_sky", {"device", "instances"}), "");
  EXPECT_EQ(DidYouMean("x", {}), "");
}

}  // namespace
}  // namespace calserve
