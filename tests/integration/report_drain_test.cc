// What a drain does to a report of stored labels that looks for rows which are not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/time/clock.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/integration/in_process_server.h"
#include "tests/unit/feedback/feedback_testing.h"
#include "tests/unit/feedback/forwarding_store.h"

namespace calserve::integration {
namespace {

// A log that takes years to look through, and of which nothing is selected.
class EndlessLog final : public ForwardingStore {
 public:
  EndlessLog(Store& to, std::atomic<int>& pages) : ForwardingStore(to), pages_(pages) {}

  absl::StatusOr<std::vector<ScoredLabel>> Read(const LogSelection&, int64_t) override { return Row(1); }
  absl::StatusOr<std::vector<ScoredLabel>> ReadNewest(const LogSelection& selection, int64_t) override {
    if (!selection.model.has_value()) return Row(int64_t{1} << 60);
    ++pages_;
    return std::vector<ScoredLabel>();
  }

 private:
  static std::vector<ScoredLabel> Row(int64_t position) {
    ScoredLabel row = MakeLabel(1);
    row.position = position;
    return {row};
  }
  std::atomic<int>& pages_;
};

TEST(ReportDrainTest, AReportThatFindsNothingIsCancelledAtTheTimeout) {
  const e2e::TempDir data_dir;
  ManualClock clock(absl::Now());
  std::atomic<int> pages{0};
  InProcessOptions options;
  options.data_dir = data_dir / "data";
  options.drain_timeout = absl::Milliseconds(20);
  options.around_store = [&](Store& store) { return std::make_unique<EndlessLog>(store, pages); };
  InProcessServer server(options, clock);
  const e2e::Api api(server.address());
  absl::Status reported;
  std::jthread report([&] {
    v1::GetCalibrationReportRequest request;
    request.set_model("puppet");
    request.set_detailed(true);
    request.mutable_stored();
    reported = absl::Status(api.Report(request).status.code, "");
  });
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (pages < 10 && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
  ASSERT_GE(pages, 10) << "it looks for its rows";
  EXPECT_EQ(server.Drain(), 1);
  report.join();
  EXPECT_FALSE(reported.ok());
  EXPECT_EQ(server.calls_under_way(), 0);
}

}  // namespace
}  // namespace calserve::integration
