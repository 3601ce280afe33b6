#include "server/recalibration/stored_rows.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/recalibration/recalibration_testing.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class StoredRowsTest : public ::testing::Test {
 protected:
  // One commit of `count` rows.
  void Commit(int count, absl::Time time) {
    std::vector<ScoredLabel> labels;
    for (int i = 0; i < count; ++i) {
      ++number_;
      labels.push_back(MakeLabel(number_, static_cast<int32_t>(number_ % 4), 4));
    }
    ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), time).ok());
  }
  absl::StatusOr<LabelledLogits> ReadAll(const FitLimits& limits = {1000, 1 << 20}) {
    return ReadLabelledLogits(store_, kTarget, {}, limits, [](int64_t) { return true; });
  }

  MemoryStore store_;
  uint64_t number_ = 0;
};

TEST_F(StoredRowsTest, ReadsLogitsAndLabelsOfTheTargetOnly) {
  Commit(3, kStart);
  std::vector<ScoredLabel> other = {MakeLabel(100, 1, 4)};
  other[0].prediction.model_version = 99;
  ASSERT_TRUE(store_.Append(absl::MakeSpan(other), kStart).ok());
  const LabelledLogits data = *ReadAll();
  EXPECT_EQ(data.columns, 4);
  EXPECT_THAT(data.labels, ElementsAre(1, 2, 3));
  EXPECT_THAT(data.logits, SizeIs(12));
}

TEST_F(StoredRowsTest, RowsWithoutLogitsAreLeftOut) {
  Commit(1, kStart);
  std::vector<ScoredLabel> labels = {MakeLabel(100, 3, 4)};
  labels[0].prediction.logits_fp16.clear();
  ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), kStart).ok());
  EXPECT_THAT(ReadAll()->labels, ElementsAre(1));
}

TEST_F(StoredRowsTest, RowsOfReplacedWeightsAreLeftOut) {
  Commit(3, kStart);
  const std::string old = store_.ReadNewest({}, 1)->front().prediction.model_digest;
  std::vector<ScoredLabel> newer = {MakeLabel(++number_, 1, 4), MakeLabel(++number_, 2, 4)};
  for (ScoredLabel& label : newer) label.prediction.model_digest = "0ther";
  ASSERT_TRUE(store_.Append(absl::MakeSpan(newer), kStart).ok());
  const auto labels = [&](const std::string& digest) {
    CalibrationTarget target = kTarget;
    target.digest = digest;
    return ReadLabelledLogits(store_, target, {}, {1000, 1 << 20}, [](int64_t) { return true; });
  };
  EXPECT_THAT(labels("0ther")->labels, ElementsAre(1, 2));
  EXPECT_THAT(labels(old)->labels, SizeIs(3));
  EXPECT_THAT(labels("")->labels, SizeIs(5));
  const absl::Status none = labels("third").status();
  EXPECT_EQ(none.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(none.message()), HasSubstr("all of the 5 stored labels"));
}

TEST_F(StoredRowsTest, NoRowWithLogitsSaysWhyThereAreNone) {
  std::vector<ScoredLabel> labels = {MakeLabel(100, 3, 4)};
  labels[0].prediction.logits_fp16.clear();
  ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), kStart).ok());
  EXPECT_THAT(ReadAll().status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("none of the 1 stored labels"), HasSubstr("tickets.max_classes"))));
}

TEST_F(StoredRowsTest, RowsOfAnotherNumberOfClassesAreRefused) {
  std::vector<ScoredLabel> labels = {MakeLabel(100, 3, 7)};
  ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), kStart).ok());
  EXPECT_THAT(ReadAll().status(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                           AllOf(HasSubstr("has 7 logits"), HasSubstr("has 4 classes"))));
}

TEST_F(StoredRowsTest, MoreBytesThanAllowedSayHowManyRowsFit) {
  Commit(10, kStart);
  EXPECT_TRUE(ReadAll({1000, 160}).ok());
  EXPECT_THAT(ReadAll({1000, 159}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("select at most 9 rows")));
  EXPECT_TRUE(ReadAll({9, 159}).ok());
}

TEST_F(StoredRowsTest, CancelsBetweenPages) {
  Commit(1, kStart);
  EXPECT_TRUE(absl::IsCancelled(
      ReadLabelledLogits(store_, kTarget, {}, {10, 1000}, [](int64_t) { return false; }).status()));
}

}  // namespace
}  // namespace calserve
