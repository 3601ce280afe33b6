#include "server/monitoring/slice_table.h"

#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/feedback/feedback_testing.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<int64_t> Assign(SliceTable& table, const std::string& key, const std::string& value) {
  std::vector<int64_t> numbers;
  table.Assign(key, value, &numbers);
  return numbers;
}

TEST(SliceTableTest, SlicesAreNumberedInTheOrderOfTheirFirstLabelWhateverTheirKey) {
  SliceTable table(SliceKeys{{"camera", {}}, {"site", {"a", "b"}}});
  EXPECT_THAT(Assign(table, "site", "b"), ElementsAre(0));
  EXPECT_THAT(Assign(table, "camera", "north"), ElementsAre(1));
  EXPECT_THAT(Assign(table, "site", "a"), ElementsAre(2));
  EXPECT_THAT(Assign(table, "camera", "north"), ElementsAre(1));
  EXPECT_THAT(table.slices(), ElementsAre(Slice{"site", "b"}, Slice{"camera", "north"}, Slice{"site", "a"}));
}

TEST(SliceTableTest, KeyThatIsNotDeclaredHasNoSlices) {
  SliceTable table(SliceKeys{{"camera", {}}});
  EXPECT_THAT(Assign(table, "hour", "7"), IsEmpty());
  EXPECT_EQ(table.next_number(), 0);
}

TEST(SliceTableTest, TheThirtyThirdValueAndAllAfterItAreOther) {
  SliceTable table(SliceKeys{{"camera", {}}});
  for (int i = 0; i < kMaxSliceValues; ++i) {
    EXPECT_THAT(Assign(table, "camera", absl::StrCat("c", i)), ElementsAre(i));
  }
  EXPECT_THAT(Assign(table, "camera", "late"), ElementsAre(kMaxSliceValues));
  EXPECT_THAT(Assign(table, "camera", "later"), ElementsAre(kMaxSliceValues));
  EXPECT_THAT(Assign(table, "camera", "c7"), ElementsAre(7));
  EXPECT_EQ(table.NumberOf({"camera", kOtherSlice}), kMaxSliceValues);
  EXPECT_EQ(table.NumberOf({"camera", "late"}), std::nullopt);
}

TEST(SliceTableTest, OfAKeyWithListedValuesTheRestIsOther) {
  SliceTable table(SliceKeys{{"site", {"a", "b"}}});
  EXPECT_THAT(Assign(table, "site", "z"), ElementsAre(0));
  EXPECT_THAT(Assign(table, "site", "a"), ElementsAre(1));
  EXPECT_THAT(table.slices(), ElementsAre(Slice{"site", "other"}, Slice{"site", "a"}));
}

TEST(SliceTableTest, TheValueOtherIsAmongTheOthers) {
  SliceTable table(SliceKeys{{"camera", {}}});
  EXPECT_THAT(Assign(table, "camera", "other"), ElementsAre(0));
  EXPECT_EQ(table.NumberOf({"camera", kOtherSlice}), 0);
  EXPECT_THAT(Assign(table, "camera", "north"), ElementsAre(1));
}

TEST(SliceTableTest, SliceThatCannotBeIsRefusedWithThoseThatCan) {
  SliceTable table(SliceKeys{{"camera", {}}, {"site", {"a", "b"}}});
  EXPECT_TRUE(table.Check({"camera", "unseen"}).ok());
  EXPECT_TRUE(table.Check({"site", "other"}).ok());
  EXPECT_THAT(table.Check({"hour", "7"}),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("\"hour\"; attributes of model.yaml lists camera, site")));
  EXPECT_THAT(table.Check({"site", "z"}),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("site has a, b, and everything else is in site=other")));
  for (int i = 0; i < kMaxSliceValues; ++i) Assign(table, "camera", absl::StrCat("c", i));
  EXPECT_THAT(table.Check({"camera", "unseen"}), StatusIs(absl::StatusCode::kNotFound, HasSubstr("c0, c1,")));
  EXPECT_THAT(SliceTable().Check({"camera", "x"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("lists no key")));
}

TEST(SliceTableTest, RuleOfASliceSelectsWhatItCounts) {
  SliceTable table(SliceKeys{{"camera", {}}, {"site", {"a", "b"}}});
  Assign(table, "camera", "north");
  Assign(table, "site", "a");
  const auto selects = [&](const Slice& slice, const Attributes& attributes) {
    return Hold({table.RuleOf(slice)}, attributes);
  };
  EXPECT_TRUE(selects({"camera", "north"}, {{"site", "a"}, {"camera", "north"}}));
  EXPECT_FALSE(selects({"camera", "north"}, {{"camera", "south"}}));
  EXPECT_FALSE(selects({"camera", "north"}, {}));
  EXPECT_TRUE(selects({"site", "other"}, {{"site", "z"}}));
  EXPECT_FALSE(selects({"site", "other"}, {{"site", "b"}}));
  EXPECT_FALSE(selects({"site", "other"}, {{"camera", "north"}}));
}

TEST(SliceTableTest, KeysDeclaredAsBeforeKeepTheirSlicesAndNumbersAreNotIssuedAgain) {
  SliceTable before(SliceKeys{{"camera", {}}, {"site", {"a", "b"}}, {"shift", {"day"}}});
  Assign(before, "site", "a");
  Assign(before, "camera", "north");
  Assign(before, "shift", "day");
  SliceTable table = before.Redeclared({{"site", {"a"}}, {"camera", {}}, {"lens", {}}});
  EXPECT_THAT(table.slices(), ElementsAre(Slice{"camera", "north"}));
  EXPECT_EQ(table.NumberOf({"camera", "north"}), 1);
  EXPECT_THAT(Assign(table, "site", "a"), ElementsAre(3));
  EXPECT_THAT(Assign(table, "lens", "wide"), ElementsAre(4));
}

TEST(SliceTableTest, IsReadAsItWasWritten) {
  SliceTable table(SliceKeys{{"camera", {}}, {"site", {"a", "b"}}});
  for (int i = 0; i < 40; ++i) Assign(table, "camera", absl::StrCat(i, std::string("\0'", 2)));
  Assign(table, "site", "b");
  FoldWriter writer;
  table.Write(writer);
  const std::string bytes = std::move(writer).Finish();
  FoldReader reader(bytes);
  SliceTable read = *SliceTable::Read(reader);
  EXPECT_TRUE(reader.Finish().ok());
  EXPECT_EQ(read.slices(), table.slices());
  EXPECT_EQ(read.declared(), table.declared());
  EXPECT_EQ(read.next_number(), 34);
  EXPECT_THAT(Assign(read, "camera", "new"), ElementsAre(*table.NumberOf({"camera", "other"})));
}

TEST(AlarmSharesTest, AreHalfForAllLabelsAndASeriesThatSumsToTheOtherHalf) {
  const AlarmOptions model{0.02, 0.01};
  EXPECT_EQ(ShareOfWhole(model, false), model);
  EXPECT_EQ(ShareOfWhole(model, true).alpha, 0.005);
  EXPECT_EQ(ShareOfSlice(model, 0).tolerance, 0.02);
  EXPECT_NEAR(ShareOfSlice(model, 0).alpha, 0.005 * 6 / (M_PI * M_PI), 1e-18);
  EXPECT_NEAR(ShareOfSlice(model, 9).alpha, 0.005 * 6 / (M_PI * M_PI * 100), 1e-18);
  double sum = ShareOfWhole(model, true).alpha;
  int64_t k = 0;
  for (; k < 1'000'000; ++k) sum += ShareOfSlice(model, k).alpha;
  // The rest of the series lies between those integrals.
  const double rest = 0.005 * 6 / (std::numbers::pi * std::numbers::pi);
  EXPECT_GT(sum, 0.01 - rest / static_cast<double>(k) - 1e-15);
  EXPECT_LT(sum, 0.01 - rest / static_cast<double>(k + 1) + 1e-15);
}

TEST(AlarmSharesTest, EverySliceThatAModelCanHaveTakesPartOfTheSmallestAlpha) {
  for (const int64_t k : {0, 263, 100'000}) {
    EXPECT_TRUE(CheckAlarmOptions(ShareOfSlice({0.01, kLeastAlarmAlpha}, k)).ok()) << k;
    EXPECT_GT(ShareOfSlice({0.01, kLeastAlarmAlpha}, k).alpha,
              ShareOfSlice({0.01, kLeastAlarmAlpha}, k + 1).alpha);
  }
}

}  // namespace
}  // namespace calserve
