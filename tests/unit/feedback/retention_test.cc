#include "server/feedback/retention.h"

#include "tests/unit/feedback/feedback_testing.h"
#include "tests/unit/feedback/forwarding_store.h"
#include "tests/unit/feedback/memory_store.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

TEST(RetentionTest, IsAtLeastADayMoreThanFeedbackTtl) {
  EXPECT_TRUE(CheckRetention(absl::Hours(15 * 24), absl::Hours(14 * 24)).ok());
  EXPECT_THAT(
      CheckRetention(absl::Hours(15 * 24) - absl::Seconds(1), absl::Hours(14 * 24)),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at least tickets.feedback_ttl + 24h = 360h")));
}

TEST(RetentionTest, DeletesWhatIsOlder) {
  MemoryStore store;
  for (int i = 0; i < 5; ++i) {
    std::vector<ScoredLabel> labels = {MakeLabel(i)};
    ASSERT_TRUE(store.Append(absl::MakeSpan(labels), kStart + absl::Hours(i)).ok());
  }
  EXPECT_EQ(*DeleteExpired(store, kStart + absl::Hours(5), absl::Hours(3), {}), 2);
  EXPECT_EQ(*DeleteExpired(store, kStart + absl::Hours(5), absl::Hours(3), {}), 0);
  EXPECT_EQ(store.Read({}, 9)->size(), 3u);
}

// Has more to delete, however much was.
class EndlessStore final : public ForwardingStore {
 public:
  EndlessStore(Store& to, std::stop_source& stop) : ForwardingStore(to), stop_(stop) {}

  absl::StatusOr<int64_t> DeleteBefore(absl::Time) override {
    if (++batches_ == 3) stop_.request_stop();
    return 10;
  }

 private:
  std::stop_source& stop_;
  int batches_ = 0;
};

TEST(RetentionTest, StopsAfterTheBatchUnderWay) {
  MemoryStore memory;
  std::stop_source stop;
  EndlessStore store(memory, stop);
  EXPECT_EQ(*DeleteExpired(store, kStart, absl::Hours(3), stop.get_token()), 30);
  EXPECT_EQ(*DeleteExpired(store, kStart, absl::Hours(3), stop.get_token()), 0);
}

TEST(RetentionTest, AStoreThatIsDownIsReported) {
  MemoryStore store;
  store.FailWith(absl::UnavailableError("no space left"));
  EXPECT_EQ(DeleteExpired(store, kStart, absl::Hours(3), {}).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace calserve
