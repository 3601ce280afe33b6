#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/base/before_waiting.h"
#include "server/batching/batcher.h"
#include "server/batching/device_turns.h"

namespace calserve {
namespace {

constexpr int kThreads = 8;
constexpr int kTasksPerThread = 2000;

// Of what may run inline on the clients' threads.
// inline_limit, and how many batches are under way at once; 0: as many as there may be.
class BatcherStressTest : public testing::TestWithParam<std::tuple<absl::Duration, int>> {};
INSTANTIATE_TEST_SUITE_P(Limits, BatcherStressTest,
                         testing::Combine(testing::Values(absl::ZeroDuration(), absl::Microseconds(5),
                                                          absl::Seconds(1)),
                                          testing::Values(0, 1, 2)));

// Eight clients against three instances and a small queue, a third of the tasks with a tight deadline and a
// third cancelled: each task has one answer, each result is its own rows, and the counters account for all of
// them.
TEST_P(BatcherStressTest, EveryTaskHasExactlyOneAnswer) {
  BatchingOptions options;
  options.max_batch_size = 8;
  options.max_queue_rows = 32;
  options.max_queue_delay = absl::Microseconds(50);
  options.inline_limit = std::get<0>(GetParam());
  options.instances = 3;
  constexpr int kSlots = 2;
  std::vector<std::vector<float>> staging(options.instances * kSlots,
                                          std::vector<float>(options.max_batch_size));
  std::atomic<int64_t> rows_run = 0;
  BatchRunner runner;
  runner.row_size = 1;
  runner.columns = 1;
  runner.slots = kSlots;
  runner.any_thread = [] { return true; };
  if (const int at_once = std::get<1>(GetParam()); at_once > 0)
    runner.turns = std::make_shared<DeviceTurns>(at_once);
  runner.staging = [&staging](int instance, int slot) {
    return absl::MakeSpan(staging[instance * kSlots + slot]);
  };
  runner.start = [&](int, int, int rows) {
    rows_run += rows;
    return absl::OkStatus();
  };
  runner.finish = [&](int instance, int slot, int rows, absl::Span<float> logits) {
    std::copy_n(staging[instance * kSlots + slot].begin(), rows, logits.begin());
    std::this_thread::yield();
    return absl::OkStatus();
  };
  absl::StatusOr<std::unique_ptr<Batcher>> batcher = Batcher::Create(options, std::move(runner));
  ASSERT_TRUE(batcher.ok()) << batcher.status();

  std::vector<std::atomic<int>> answers(kThreads * kTasksPerThread);
  std::atomic<int64_t> answered = 0, succeeded = 0, rows_succeeded = 0, wrong = 0;
  const auto client = [&](int thread) {
    std::mt19937 random(thread);
    WaitingThread reading;
    for (int i = 0; i < kTasksPerThread; ++i) {
      const int id = thread * kTasksPerThread + i;
      BatchTask task;
      task.rows = 1 + static_cast<int>(random() % 3);
      auto values = std::make_shared<std::vector<float>>();
      for (int row = 0; row < task.rows; ++row) values->push_back(static_cast<float>(id) + 0.25f * row);
      for (const float& value : *values) task.input.push_back(BytesOf({&value, 1}));
      std::shared_ptr<CancelFlag> cancel;
      if (id % 3 == 1) task.deadline = absl::Now() + absl::Microseconds(random() % 500);
      if (id % 3 == 2) task.cancel = cancel = std::make_shared<CancelFlag>();
      task.done = [&, id, values](absl::StatusOr<BatchResult> result) {
        ++answers[id];
        if (result.ok()) {
          ++succeeded;
          rows_succeeded += static_cast<int64_t>(values->size());
          if (result->logits != *values) ++wrong;
        }
        ++answered;
      };
      (*batcher)->Schedule(std::move(task));
      if (cancel != nullptr && random() % 2 == 0) cancel->Cancel();
      if (random() % 4 == 0) reading.Run();
      if (i % 16 == 0) absl::SleepFor(absl::Microseconds(100));
    }
    while (reading.has_work()) reading.Run();
  };
  {
    std::vector<std::jthread> clients;
    for (int thread = 0; thread < kThreads; ++thread) clients.emplace_back(client, thread);
  }
  while (answered < kThreads * kTasksPerThread) std::this_thread::yield();
  const Batcher::Counters counters = (*batcher)->counters();
  batcher->reset();

  for (const std::atomic<int>& times : answers) ASSERT_EQ(times, 1);
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(succeeded, 0);
  EXPECT_EQ(counters.tasks, succeeded);
  EXPECT_EQ(counters.rows, rows_succeeded);
  EXPECT_EQ(counters.rows, rows_run);
  EXPECT_EQ(counters.failed, 0);
  EXPECT_EQ(counters.queued_rows, 0);
  EXPECT_EQ(counters.tasks + counters.refused + counters.expired + counters.cancelled,
            kThreads * kTasksPerThread);
}

}  // namespace
}  // namespace calserve
