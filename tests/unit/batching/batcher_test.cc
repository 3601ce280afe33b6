#include "server/batching/batcher.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "tests/unit/batching/batcher_fixture.h"
#include "tests/unit/batching/puppet_model.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;

TEST_F(BatcherTest, AnswersEachTaskWithItsOwnRows) {
  Start();
  OccupyAnInstance();
  auto first = Submit(1, 10);
  auto second = Submit(2, 20);
  model_->FinishAll();
  EXPECT_THAT(first->Await()->logits, ElementsAre(10, 10.5));
  EXPECT_THAT(second->Await()->logits, ElementsAre(20, 20.5, 21, 21.5));
  EXPECT_THAT(model_->batch_sizes(), ElementsAre(1, 3));
}

TEST_F(BatcherTest, CountsTheBatchesOfEachSizeAndTheirTime) {
  Start();
  OccupyAnInstance();
  const auto first = Submit(1), second = Submit(2);
  clock_.Advance(absl::Milliseconds(7));
  model_->FinishAll();
  EXPECT_TRUE(first->Await().ok() && second->Await().ok());
  EXPECT_TRUE(Submit(1)->Await().ok());
  const std::vector<Batcher::BatchesOfSize> by_rows = batcher_->counters().by_rows;
  ASSERT_EQ(by_rows.size(), 3);
  EXPECT_EQ(by_rows[0].batches, 2);
  EXPECT_EQ(by_rows[1].batches, 0);
  EXPECT_EQ(by_rows[2].batches, 1);
  EXPECT_EQ(by_rows[0].ran, absl::Milliseconds(7));
  EXPECT_EQ(by_rows[2].ran, absl::ZeroDuration());
}

TEST_F(BatcherTest, ALoneTaskDoesNotWait) {
  Start();
  model_->FinishAll();
  EXPECT_TRUE(Submit(1)->Await().ok());
}

TEST_F(BatcherTest, ClosesPartialBatchWhenOldestTaskIsDue) {
  options_.max_queue_delay = absl::Milliseconds(100);
  Start();
  model_->FinishAll();
  auto first = Submit(1);
  clock_.Advance(absl::Milliseconds(60));
  auto second = Submit(1);
  clock_.Advance(absl::Milliseconds(39));
  EXPECT_EQ(first->times(), 0);
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(first->Await()->queued, absl::Milliseconds(100));
  EXPECT_EQ(second->Await()->queued, absl::Milliseconds(40));
  EXPECT_THAT(model_->batch_sizes(), ElementsAre(2));
}

class RealTimeBatcherTest : public BatcherTest {
 protected:
  MonotonicClock& clock() override { return MonotonicClock::System(); }
};

// Nobody else would find it: the instance has looked, and sleeps until there is company. (A manual clock that
// advances wakes everybody.)
TEST_F(RealTimeBatcherTest, ACancelledTaskThatWaitsForCompanyIsSwept) {
  options_.max_queue_delay = absl::Hours(1);
  Start();
  absl::SleepFor(absl::Milliseconds(50));  // Idle by now, or nearly always.
  auto cancel = std::make_shared<CancelFlag>();
  const auto cancelled = Submit(1, 0, {.cancel = cancel});
  absl::SleepFor(absl::Milliseconds(50));  // The instance has looked.
  cancel->Cancel();
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while (cancelled->times() == 0 && absl::Now() < end) absl::SleepFor(absl::Milliseconds(1));
  ASSERT_EQ(cancelled->times(), 1);
  EXPECT_EQ(CodeOf(cancelled), absl::StatusCode::kCancelled);
}

TEST_F(BatcherTest, AFullBatchDoesNotWaitForTheDelay) {
  options_.max_queue_delay = absl::Hours(1);
  Start();
  model_->FinishAll();
  auto first = Submit(2);
  auto second = Submit(2);
  EXPECT_TRUE(first->Await().ok());
  EXPECT_TRUE(second->Await().ok());
}

TEST_F(BatcherTest, FillsBatchesUpToTheMaximumWithWholeRequests) {
  Start();
  OccupyAnInstance();
  std::vector<std::shared_ptr<Answer>> answers;
  for (int rows : {3, 2, 1, 1, 1}) answers.push_back(Submit(rows));
  model_->FinishAll();
  for (auto& answer : answers) EXPECT_TRUE(answer->Await().ok());
  EXPECT_THAT(model_->batch_sizes(), ElementsAre(1, 3, 4, 1));
}

TEST_F(BatcherTest, InstancesRunAtOnce) {
  options_.instances = 2;
  Start();
  OccupyAnInstance();
  OccupyAnInstance();
  EXPECT_THAT(model_->batch_sizes(), ElementsAre(1, 1));
  model_->FinishAll();
}

TEST_F(BatcherTest, ReportsTimes) {
  Start();
  OccupyAnInstance();
  auto answer = Submit(1);
  clock_.Advance(absl::Milliseconds(5));
  model_->FinishOne();
  model_->AwaitBatches(2);
  clock_.Advance(absl::Milliseconds(3));
  model_->FinishAll();
  EXPECT_EQ(answer->Await()->queued, absl::Milliseconds(5));
  EXPECT_EQ(answer->Await()->ran, absl::Milliseconds(3));
}

TEST_F(BatcherTest, RefusesRowsOutOfRange) {
  Start();
  EXPECT_EQ(CodeOf(Submit(0)), absl::StatusCode::kInvalidArgument);
  auto too_many = Submit(5);
  EXPECT_EQ(CodeOf(too_many), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(too_many->Await().status().message(), HasSubstr("1 to 4 rows; this one has 5"));
}

TEST_F(BatcherTest, ATaskWithOtherInputThanItsRowsIsRefused) {
  Start();
  const auto why = [&](BatchTask task) {
    Answer answer;
    task.done = [&](absl::StatusOr<BatchResult> result) { answer.Give(std::move(result)); };
    batcher_->Schedule(std::move(task));
    EXPECT_EQ(answer.Await().status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(answer.Await().status().message());
  };
  EXPECT_EQ(why({.rows = 2, .input = {kZeroRow}}),
            "a task of 2 rows of 1 values takes 8 bytes; this one has 4");
  EXPECT_EQ(why({.rows = 2, .input = {kZeroRow, kZeroRow.substr(1), kZeroRow.substr(2)}}),
            "a task of 2 rows of 1 values takes 8 bytes; this one has 9");
  EXPECT_TRUE(model_->batch_sizes().empty());
}

TEST_F(BatcherTest, RefusesAtOnceWhenTheQueueIsFull) {
  Start();
  OccupyAnInstance();
  Submit(4);
  Submit(4);
  const absl::Status full = Submit(1)->Await().status();
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(full.message(), HasSubstr("8 of at most 8 rows"));
  EXPECT_TRUE(ErrorRetryAfter(full).has_value());
  EXPECT_EQ(batcher_->counters().refused, 1);
  EXPECT_EQ(batcher_->counters().queued_rows, 8);
  EXPECT_EQ(batcher_->counters().queued_bytes, 8 * static_cast<int64_t>(sizeof(float)));
  model_->FinishAll();
}

TEST_F(BatcherTest, HowLongABatchRunsIsKnownWhileItDoes) {
  options_.instances = 2;
  Start();
  EXPECT_EQ(batcher_->counters().longest_run, absl::ZeroDuration());
  const auto first = OccupyAnInstance();
  clock_.Advance(absl::Seconds(3));
  OccupyAnInstance();
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(batcher_->counters().longest_run, absl::Seconds(5));
  model_->FinishAll();
  EXPECT_TRUE(first->Await().ok());
  batcher_->Stop();
  EXPECT_EQ(batcher_->counters().longest_run, absl::ZeroDuration());
}

TEST_F(BatcherTest, AnInstanceIsBusyUntilItWaitsForWork) {
  options_.instances = 2;
  Start();
  const auto busy_becomes = [this](int busy) {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (batcher_->counters().busy_instances != busy && absl::Now() < end)
      absl::SleepFor(absl::Milliseconds(1));
    return batcher_->counters().busy_instances == busy;
  };
  EXPECT_TRUE(busy_becomes(0));
  OccupyAnInstance();
  EXPECT_TRUE(busy_becomes(1));
  OccupyAnInstance();
  EXPECT_TRUE(busy_becomes(2));
  model_->FinishAll();
  EXPECT_TRUE(busy_becomes(0));
}

TEST_F(BatcherTest, ATasksShareOfItsBatchIsByRows) {
  Start();
  OccupyAnInstance();
  auto three = Submit(3);
  auto one = Submit(1);
  model_->FinishAll();
  ASSERT_TRUE(three->Await().ok() && one->Await().ok());
  EXPECT_EQ(three->Await()->share, 0.75);
  EXPECT_EQ(one->Await()->share, 0.25);
}

TEST_F(BatcherTest, AnErrorOfTheModelGoesToEveryTaskOfTheBatch) {
  Start();
  OccupyAnInstance();
  model_->Script(1, [](absl::Span<float>) { return absl::InternalError("out of memory"); });
  auto first = Submit(1);
  auto second = Submit(1);
  model_->FinishAll();
  for (auto& answer : {first, second}) {
    EXPECT_EQ(CodeOf(answer), absl::StatusCode::kInternal);
    EXPECT_THAT(answer->Await().status().message(), HasSubstr("out of memory"));
  }
  EXPECT_EQ(batcher_->counters().failed, 2);
  EXPECT_TRUE(Submit(1)->Await().ok());
}

TEST_F(BatcherTest, OnlyTheTaskWithANonFiniteRowFails) {
  Start();
  OccupyAnInstance();
  model_->Script(1, [](absl::Span<float> logits) {
    logits[2 * PuppetModel::kColumns + 1] = std::numeric_limits<float>::quiet_NaN();
    return absl::DataLossError("row 2 is not finite");
  });
  auto before = Submit(1, 1);
  auto spoilt = Submit(2, 2);
  auto after = Submit(1, 4);
  model_->FinishAll();
  EXPECT_THAT(before->Await()->logits, ElementsAre(1, 1.5));
  EXPECT_EQ(CodeOf(spoilt), absl::StatusCode::kInternal);
  EXPECT_THAT(spoilt->Await().status().message(), HasSubstr("not finite for row 1 of this request"));
  EXPECT_EQ(ErrorReason(spoilt->Await().status()), "LOGITS_NOT_FINITE");
  EXPECT_THAT(after->Await()->logits, ElementsAre(4, 4.5));
}

TEST_F(BatcherTest, AnExceptionOfTheModelIsAnError) {
  Start();
  model_->Script(0, [](absl::Span<float>) -> absl::Status { throw std::runtime_error("boom"); });
  model_->FinishAll();
  auto answer = Submit(1);
  EXPECT_EQ(CodeOf(answer), absl::StatusCode::kInternal);
  EXPECT_THAT(answer->Await().status().message(), HasSubstr("boom"));
  EXPECT_TRUE(Submit(1)->Await().ok());
}

TEST_F(BatcherTest, AnExceptionOfACallbackHarmsNobodyElse) {
  Start();
  model_->FinishAll();
  BatchTask task;
  task.rows = 1;
  task.input = {kZeroRow};
  task.done = [](absl::StatusOr<BatchResult>) { throw std::runtime_error("boom"); };
  batcher_->Schedule(std::move(task));
  EXPECT_TRUE(Submit(1)->Await().ok());
}

TEST_F(BatcherTest, DestructionCompletesEveryTaskOnce) {
  Start();
  auto running = OccupyAnInstance();
  std::vector<std::shared_ptr<Answer>> queued;
  for (int i = 0; i < 8; ++i) queued.push_back(Submit(1));
  {
    std::jthread destroyer([this] { batcher_.reset(); });
    absl::SleepFor(absl::Milliseconds(20));  // Destruction waits for the running batch.
    EXPECT_EQ(running->times(), 0);
    model_->FinishOne();
  }
  EXPECT_TRUE(running->Await().ok());
  for (auto& answer : queued) EXPECT_EQ(CodeOf(answer), absl::StatusCode::kUnavailable);
  for (auto& answer : queued) EXPECT_EQ(answer->times(), 1);
}

TEST_F(BatcherTest, AStoppedBatcherRunsNoCallbackAndRefusesTasks) {
  Start();
  auto running = OccupyAnInstance();
  auto queued = Submit(1);
  model_->FinishAll();
  batcher_->Stop();
  EXPECT_EQ(running->times(), 1);
  EXPECT_EQ(queued->times(), 1);
  EXPECT_EQ(CodeOf(Submit(1)), absl::StatusCode::kUnavailable);
  batcher_->Stop();
}

TEST_F(BatcherTest, CreateNamesTheOptionThatIsWrong) {
  const auto message = [](BatchingOptions options) {
    PuppetModel model(1, 4);
    return std::string(Batcher::Create(options, model.Runner()).status().message());
  };
  EXPECT_EQ(message({.max_batch_size = 0}), "max_batch_size must be >= 1; was 0");
  EXPECT_EQ(message({.instances = 0}), "instances must be >= 1; was 0");
  EXPECT_EQ(message({.max_batch_size = 16, .max_queue_rows = 8}), "max_queue_rows must be >= 16; was 8");
  EXPECT_EQ(message({.max_batch_size = 16, .max_queue_bytes = 63}), "max_queue_bytes must be >= 64; was 63");
}

TEST_F(BatcherTest, AnInstanceThatCannotBePreparedIsAnError) {
  PuppetModel model(2, 4);
  BatchRunner runner = model.Runner();
  runner.prepare = [](int instance) {
    return instance == 1 ? absl::InternalError("no memory") : absl::OkStatus();
  };
  const auto batcher = Batcher::Create({.max_batch_size = 4, .instances = 2}, std::move(runner));
  EXPECT_EQ(batcher.status().message(), "no memory");
}

TEST_F(BatcherTest, WhatPreparingAnInstanceThrowsIsAnError) {
  PuppetModel model(1, 4);
  BatchRunner runner = model.Runner();
  runner.prepare = [](int) -> absl::Status { throw std::bad_alloc(); };
  const auto batcher = Batcher::Create({.max_batch_size = 4}, std::move(runner));
  EXPECT_EQ(batcher.status().code(), absl::StatusCode::kInternal) << batcher.status();
}

TEST_F(BatcherTest, EveryInstanceIsPreparedOnItsOwnThreadBeforeCreateReturns) {
  PuppetModel model(3, 4);
  BatchRunner runner = model.Runner();
  Mutex mu;
  std::map<int, std::thread::id> prepared, ran;
  runner.prepare = [&](int instance) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10 * instance));
    MutexLock lock(&mu);
    prepared[instance] = std::this_thread::get_id();
    return absl::OkStatus();
  };
  runner.start = [&, start = runner.start](int instance, int slot, int rows) {
    {
      MutexLock lock(&mu);
      ran[instance] = std::this_thread::get_id();
    }
    return start(instance, slot, rows);
  };
  const auto batcher = *Batcher::Create({.max_batch_size = 4, .instances = 3}, std::move(runner));
  EXPECT_EQ(prepared.size(), 3u);
  // One batch an instance: each is held until all have one.
  for (int i = 0; i < 3; ++i) {
    batcher->Schedule({.rows = 1, .input = {kZeroRow}, .done = [](absl::StatusOr<BatchResult>) {}});
    model.AwaitBatches(i + 1);
  }
  model.FinishAll();
  batcher->Stop();
  EXPECT_EQ(ran, prepared);
}

}  // namespace
}  // namespace calserve
