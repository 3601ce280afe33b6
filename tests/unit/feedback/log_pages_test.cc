#include "server/feedback/log_pages.h"

#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/feedback/feedback_testing.h"
#include "tests/unit/feedback/forwarding_store.h"
#include "tests/unit/feedback/memory_store.h"

namespace calserve {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

// Keeps how many positions each read that selects by more than them may look at.
class SpanStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  absl::StatusOr<std::vector<ScoredLabel>> ReadNewest(const LogSelection& selection, int64_t limit) override {
    if (!selection.attributes.empty()) {
      spans.push_back(selection.before_position - selection.after_position - 1);
    }
    return ForwardingStore::ReadNewest(selection, limit);
  }
  std::vector<int64_t> spans;
};

class LogPagesTest : public ::testing::Test {
 protected:
  // One commit of `count` rows; `camera` of each, where it is given.
  void Commit(int count, absl::Time time = kStart, const std::string& camera = "") {
    std::vector<ScoredLabel> labels;
    for (int i = 0; i < count; ++i) {
      labels.push_back(MakeLabel(++number_));
      if (!camera.empty()) labels.back().prediction.attributes = {{"camera", camera}};
    }
    ASSERT_TRUE(memory_.Append(absl::MakeSpan(labels), time).ok());
  }
  // Positions in the order of the log, however they were paged.
  std::vector<int64_t> Visited(const LogSelection& selection, int64_t max_rows, int64_t page_positions) {
    std::vector<int64_t> positions;
    const auto visit = [&](absl::Span<const ScoredLabel> rows) {
      std::vector<int64_t> page;
      for (const ScoredLabel& row : rows) page.push_back(row.position);
      positions.insert(positions.begin(), page.begin(), page.end());
      return absl::OkStatus();
    };
    EXPECT_TRUE(VisitNewest(store_, selection, max_rows, visit, page_positions).ok());
    return positions;
  }
  static LogSelection OfCamera(const std::string& camera) {
    LogSelection selection;
    selection.attributes = {{"camera", {camera}}};
    return selection;
  }

  MemoryStore memory_;
  SpanStore store_{memory_};
  uint64_t number_ = 0;
};

TEST_F(LogPagesTest, PagesAreTheNewestRowsEachOnceInWhateverCommitsTheyCame) {
  std::mt19937 random(1);
  for (int i = 0; i < 60; ++i) Commit(1 + static_cast<int>(random() % 9), kStart + absl::Microseconds(i));
  for (const int64_t page_positions : {1, 2, 5, 7, 100, 1000}) {
    for (const int64_t max_rows : {1, 6, 50, 5000}) {
      LogSelection selection;
      selection.after_position = 11;
      selection.start = kStart + absl::Microseconds(3);
      selection.end = kStart + absl::Microseconds(57);
      std::vector<int64_t> expected;
      const std::vector<ScoredLabel> newest = *memory_.ReadNewest(selection, max_rows);
      for (const ScoredLabel& row : newest) expected.push_back(row.position);
      EXPECT_EQ(Visited(selection, max_rows, page_positions), expected) << page_positions << " " << max_rows;
    }
  }
}

TEST_F(LogPagesTest, VisitOfNothingIsEmpty) {
  EXPECT_THAT(Visited({}, 10, 3), IsEmpty());
  Commit(5);
  EXPECT_THAT(Visited({.after_position = 5}, 10, 3), IsEmpty());
  EXPECT_THAT(Visited({}, 0, 3), IsEmpty());
}

TEST_F(LogPagesTest, RowsThatAreLeftAfterRetentionAreVisitedAndNoPageLiesBeforeThem) {
  Commit(50, kStart);
  Commit(3, kStart + absl::Hours(1), "north");
  ASSERT_EQ(*memory_.DeleteBefore(kStart + absl::Hours(1)), 50);
  EXPECT_THAT(Visited(OfCamera("north"), 10, 2), ElementsAre(51, 52, 53));
  EXPECT_THAT(store_.spans, SizeIs(2));
}

TEST_F(LogPagesTest, ARareSliceIsLookedForInAPageOfPositionsAtATime) {
  Commit(1, kStart, "north");
  Commit(99, kStart, "south");
  EXPECT_THAT(Visited(OfCamera("north"), 10, 8), ElementsAre(1));
  EXPECT_THAT(store_.spans, SizeIs(13));
  EXPECT_THAT(store_.spans, Each(Le(8)));
}

TEST_F(LogPagesTest, ASearchThatFindsNothingStopsWhenTheVisitorSaysSo) {
  Commit(100, kStart, "south");
  const auto visit = [](absl::Span<const ScoredLabel>) { return absl::CancelledError("enough"); };
  EXPECT_TRUE(absl::IsCancelled(VisitNewest(store_, OfCamera("north"), 10, visit, 8)));
  EXPECT_THAT(store_.spans, ElementsAre(8));
}

}  // namespace
}  // namespace calserve
