#include "server/feedback/retention.h"

#include "tests/unit/feedback/feedback_testing.h"
#include "tests/unit/feedback/memory_store.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

TEST(RetentionTest, IsAtLeastADayMoreThanFeedbackTtl) {
  EXPECT_TRUE(CheckRetention(absl::Hours(15 * 24), absl::Hours(14 * 24)).ok());
  EXPECT_THAT(CheckRetention(absl::Hours(15 * 24) - absl::Seconds(1), absl::Hours(14 * 24)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at least feedback_ttl + 24h = 360h")));
}

TEST(RetentionTest, DeletesWhatIsOlder) {
  MemoryStore store;
  for (int i = 0; i < 5; ++i) {
    std::vector<ScoredLabel> labels = {MakeLabel(i)};
    ASSERT_TRUE(store.Append(absl::MakeSpan(labels), kStart + absl::Hours(i)).ok());
  }
  EXPECT_EQ(*DeleteExpired(store, kStart + absl::Hours(5), absl::Hours(3)), 2);
  EXPECT_EQ(*DeleteExpired(store, kStart + absl::Hours(5), absl::Hours(3)), 0);
  EXPECT_EQ(store.Read({}, 9)->size(), 3u);
}

TEST(RetentionTest, AStoreThatIsDownIsReported) {
  MemoryStore store;
  store.FailWith(absl::UnavailableError("no space left"));
  EXPECT_EQ(DeleteExpired(store, kStart, absl::Hours(3)).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace calserve
