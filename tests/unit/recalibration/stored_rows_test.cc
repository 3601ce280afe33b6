#include "server/recalibration/stored_rows.h"

#include <random>

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
  // Positions in the order of the log, however they were paged.
  std::vector<int64_t> Visited(const LogSelection& selection, int64_t max_rows, int64_t page_rows) {
    std::vector<int64_t> positions;
    EXPECT_TRUE(VisitNewest(
                    store_, selection, max_rows,
                    [&](absl::Span<const ScoredLabel> rows) {
                      std::vector<int64_t> page;
                      for (const ScoredLabel& row : rows) page.push_back(row.position);
                      positions.insert(positions.begin(), page.begin(), page.end());
                      return absl::OkStatus();
                    },
                    page_rows)
                    .ok());
    return positions;
  }
  absl::StatusOr<LabelledLogits> ReadAll(const FitLimits& limits = {1000, 1 << 20}) {
    return ReadLabelledLogits(store_, kTarget, {}, limits, [](int64_t) { return true; });
  }

  MemoryStore store_;
  uint64_t number_ = 0;
};

TEST_F(StoredRowsTest, PagesAreTheNewestRowsEachOnceInWhateverCommitsTheyCame) {
  std::mt19937 random(1);
  for (int i = 0; i < 60; ++i) Commit(1 + static_cast<int>(random() % 9), kStart + absl::Microseconds(i));
  for (const int64_t page_rows : {1, 2, 5, 7, 100, 1000}) {
    for (const int64_t max_rows : {1, 6, 50, 5000}) {
      LogSelection selection;
      selection.after_position = 11;
      selection.end = kStart + absl::Microseconds(57);
      std::vector<int64_t> expected;
      const std::vector<ScoredLabel> newest = *store_.ReadNewest(selection, max_rows);
      for (const ScoredLabel& row : newest) expected.push_back(row.position);
      EXPECT_EQ(Visited(selection, max_rows, page_rows), expected) << page_rows << " " << max_rows;
    }
  }
}

TEST_F(StoredRowsTest, VisitOfNothingIsEmpty) { EXPECT_THAT(Visited({}, 10, 3), SizeIs(0)); }

TEST_F(StoredRowsTest, StopsAtTheVisitorsError) {
  Commit(2, kStart);
  int visits = 0;
  const auto visit = [&](absl::Span<const ScoredLabel>) {
    ++visits;
    return absl::CancelledError("enough");
  };
  EXPECT_TRUE(absl::IsCancelled(VisitNewest(store_, {}, 10, visit)));
  EXPECT_EQ(visits, 1);
}

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
