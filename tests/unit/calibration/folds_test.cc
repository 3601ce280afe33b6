#include "calibration/folds.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

TEST(FoldsTest, RowsAreSpreadEvenly) {
  std::vector<int> counts(5);
  for (const int fold : FoldOfEachRow(RandomLabelled(10'000, 4, 1, 1).rows(), 5)) ++counts.at(fold);
  for (const int count : counts) EXPECT_NEAR(count, 2000, 200);
}

TEST(FoldsTest, ARowKeepsItsFoldWhereverItStands) {
  const Labelled data = RandomLabelled(100, 4, 1, 2);
  Labelled reversed{4, {}, {}};
  for (int i = 99; i >= 0; --i) {
    reversed.logits.insert(reversed.logits.end(), data.logits.begin() + 4 * i,
                           data.logits.begin() + 4 * i + 4);
    reversed.labels.push_back(data.labels[i]);
  }
  const std::vector<int> folds = FoldOfEachRow(data.rows(), 5);
  EXPECT_EQ(FoldOfEachRow(reversed.rows(), 5), std::vector<int>(folds.rbegin(), folds.rend()));
}

TEST(FoldsTest, ARowKeepsItsFoldWhenAConstantIsAddedOrItsZeroIsLeftOut) {
  const Labelled data = RandomLabelled(100, 4, 1, 3);
  EXPECT_EQ(FoldOfEachRow(Shifted(data).rows(), 7), FoldOfEachRow(data.rows(), 7));
  const Labelled single{1, {1.5f, -2}, {0, 1}}, pair{2, {0, 1.5f, 0, -2}, {0, 1}};
  EXPECT_EQ(FoldOfEachRow(single.rows(), 1000), FoldOfEachRow(pair.rows(), 1000));
}

TEST(FoldsTest, EqualContentSharesAFoldAndAnotherLabelIsOtherContent) {
  Labelled data{2, {}, {}};
  for (int i = 0; i < 20; ++i) {
    data.logits.insert(data.logits.end(), {0.5f, 1});
    data.labels.push_back(i % 2);
  }
  const std::vector<int> folds = FoldOfEachRow(data.rows(), 1'000'000);
  for (int i = 2; i < 20; ++i) EXPECT_EQ(folds[i], folds[i % 2]);
  EXPECT_NE(folds[0], folds[1]);
}

// A fold that moved would change every stored cross-validation.
TEST(FoldsTest, TheHashIsTheSameInEveryVersion) {
  const Labelled data{3, {0, 1, 2, 2, 1, 0, 0.5f, 0, -0.5f}, {0, 1, 2}};
  EXPECT_EQ(FoldOfEachRow(data.rows(), 1'000'000), (std::vector<int>{574225, 752031, 887607}));
}

TEST(FoldsTest, ASplitHoldsEachRowOnce) {
  const Labelled data = RandomLabelled(100, 4, 1, 4);
  const LabelledRows rows = data.rows();
  const std::vector<int> folds = FoldOfEachRow(rows, 3);
  int64_t held_out = 0;
  for (int fold = 0; fold < 3; ++fold) {
    const FoldSplit split = SplitFold(rows, folds, fold);
    EXPECT_EQ(split.held_out.size() + split.rest.size(), 100);
    for (const int64_t i : split.held_out.rows) EXPECT_EQ(folds[i], fold);
    for (const int64_t i : split.rest.rows) EXPECT_NE(folds[i], fold);
    held_out += split.held_out.size();
  }
  EXPECT_EQ(held_out, 100);
}

TEST(FoldsTest, TheOrderByContentDoesNotDependOnTheOrderGiven) {
  const Labelled data = RandomLabelled(100, 4, 1, 5), shuffled = Shuffled(data, 6);
  const std::vector<int64_t> one = InContentOrder(data.rows()).rows,
                             other = InContentOrder(shuffled.rows()).rows;
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(data.labels[one[i]], shuffled.labels[other[i]]);
    for (int k = 0; k < 4; ++k) EXPECT_EQ(data.view().At(one[i], k), shuffled.view().At(other[i], k));
  }
}

TEST(FoldsTest, AnotherSaltDividesFoldsAnew) {
  const Labelled data = RandomLabelled(1000, 4, 1, 7);
  const std::vector<int> plain = FoldOfEachRow(data.rows(), 5), salted = FoldOfEachRow(data.rows(), 5, 1);
  int together = 0;
  for (size_t i = 0; i < plain.size(); ++i) together += plain[i] == salted[i];
  EXPECT_NEAR(together, 200, 60);
}

TEST(FoldsTest, NoSplitWhereASideWouldBeEmpty) {
  const Labelled alike{2, {0, 1, 0, 1, 0, 1}, {0, 0, 0}};
  EXPECT_TRUE(SplitFolds(alike.rows(), 3).empty());
  EXPECT_TRUE(SplitHoldout(alike.rows(), 0.5).empty());
  const Labelled data = RandomLabelled(1000, 4, 1, 8);
  EXPECT_EQ(SplitFolds(data.rows(), 4).size(), 4u);
  ASSERT_EQ(SplitHoldout(data.rows(), 0.25).size(), 1u);
  EXPECT_NEAR(static_cast<double>(SplitHoldout(data.rows(), 0.25)[0].held_out.size()), 250, 50);
}

}  // namespace
}  // namespace calserve
