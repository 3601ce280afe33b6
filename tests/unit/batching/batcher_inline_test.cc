// Batches that run on the thread that read their requests.
#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/before_waiting.h"
#include "server/batching/batcher.h"
#include "tests/unit/batching/batcher_fixture.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;

// A batcher whose batches of 1 row were measured to take 100 µs and those of 4 400 µs.
class BatcherInlineTest : public BatcherTest {
 protected:
  BatcherInlineTest() { options_.inline_limit = absl::Microseconds(300); }

  void StartMeasured(int instances = 1) {
    options_.instances = instances;
    Start();
    for (const int rows : {1, 4}) {
      const auto answer = Submit(rows);
      clock_.Advance(options_.max_queue_delay);
      model_->AwaitBatches(++measured_);
      clock_.Advance(rows * absl::Microseconds(100));
      model_->FinishOne();
      ASSERT_TRUE(answer->Await().ok());
    }
    AwaitIdle();
  }
  // Until every instance waits for work.
  void AwaitIdle() const {
    while (batcher_->counters().busy_instances > 0) std::this_thread::yield();
  }
  // What this thread reads, although it would run it.
  void ExpectItRunsOnTheInstance() {
    model_->FinishAll();
    const WaitingThread thread;
    EXPECT_TRUE(Submit(1)->Await().ok());
    EXPECT_FALSE(thread.has_work());
  }
  size_t batches() const { return model_->batch_sizes().size() - measured_; }

  size_t measured_ = 0;  // batches
};

TEST_F(BatcherInlineTest, AShortBatchRunsOnTheThreadThatReadItBeforeItWaits) {
  StartMeasured();
  model_->FinishAll();
  WaitingThread thread;
  const auto answer = Submit(1, 7);
  EXPECT_EQ(batches(), 0u) << "there may be more to read";
  EXPECT_EQ(answer->times(), 0);
  thread.Run();
  EXPECT_EQ(answer->times(), 1) << "on this thread";
  EXPECT_THAT(answer->Await()->logits, ElementsAre(7, 7.5f));
  EXPECT_EQ(batcher_->counters().busy_instances, 0);
  EXPECT_FALSE(thread.has_work());
}

TEST_F(BatcherInlineTest, WhatWasReadTogetherIsOneBatch) {
  StartMeasured();
  model_->FinishAll();
  WaitingThread thread;
  const auto one = Submit(1), two = Submit(2);
  thread.Run();
  EXPECT_EQ(one->times() + two->times(), 2);
  EXPECT_EQ(model_->batch_sizes().back(), 3);
}

TEST_F(BatcherInlineTest, OnceMoreIsReadThanIsShortTheInstanceTakesAll) {
  StartMeasured();
  WaitingThread thread;
  for (int i = 0; i < 50; ++i) {  // Whether the instance has woken when Run is called or not.
    const auto one = Submit(1);
    EXPECT_TRUE(thread.has_work());
    const auto three = Submit(3);  // 4 rows: 400 µs
    thread.Run();                  // Would wait for FinishOne.
    model_->AwaitBatches(++measured_);
    EXPECT_EQ(model_->batch_sizes().back(), 4);
    clock_.Advance(absl::Microseconds(400));
    model_->FinishOne();
    EXPECT_TRUE(one->Await().ok());
    EXPECT_TRUE(three->Await().ok());
    AwaitIdle();
  }
}

TEST_F(BatcherInlineTest, AnotherThreadsTaskDoesNotWaitForTheOneThatReads) {
  StartMeasured();
  model_->FinishAll();
  WaitingThread thread;
  const auto one = Submit(1);
  std::shared_ptr<Answer> two;
  std::jthread([&] { two = Submit(1); }).join();
  EXPECT_TRUE(two->Await().ok());
  EXPECT_TRUE(one->Await().ok());
  thread.Run();
}

TEST_F(BatcherInlineTest, WhatItsAnswersScheduleIsRunInItsTurn) {
  StartMeasured();
  model_->FinishAll();
  WaitingThread thread;
  std::shared_ptr<Answer> second;
  BatchTask first{.rows = 1, .input = {kZeroRow}};
  first.done = [&](const absl::StatusOr<BatchResult>&) { second = Submit(1); };
  batcher_->Schedule(std::move(first));
  while (thread.has_work()) thread.Run();
  EXPECT_TRUE(second->Await().ok());
}

TEST_F(BatcherInlineTest, WhatWasNotMeasuredRunsOnTheInstance) {
  Start();
  ExpectItRunsOnTheInstance();
}

TEST_F(BatcherInlineTest, ALimitOfNothingIsNever) {
  options_.inline_limit = absl::ZeroDuration();
  StartMeasured();
  ExpectItRunsOnTheInstance();
}

TEST_F(BatcherInlineTest, WhatNotAnyThreadMayRunRunsOnTheInstanceUntilAnyMay) {
  any_thread_ = false;
  StartMeasured();
  ExpectItRunsOnTheInstance();
  AwaitIdle();
  any_thread_ = true;
  WaitingThread thread;
  const auto answer = Submit(1);
  thread.Run();
  EXPECT_EQ(answer->times(), 1) << "on this thread";
}

TEST_F(BatcherInlineTest, AThreadThatReadsNoRequestsWakesTheInstance) {
  StartMeasured();
  model_->FinishAll();
  EXPECT_TRUE(Submit(1)->Await().ok());
}

TEST_F(BatcherInlineTest, WhileEveryInstanceIsBusyWhatComesIsQueued) {
  StartMeasured();
  const auto running = Submit(1);
  model_->AwaitBatches(3);
  const WaitingThread thread;
  const auto queued = Submit(1);
  EXPECT_FALSE(thread.has_work());
  model_->FinishAll();
  EXPECT_TRUE(running->Await().ok());
  EXPECT_TRUE(queued->Await().ok());
}

// Lends an instance to a thread that reads; `other` came from elsewhere meanwhile.
class BatcherLentTest : public BatcherInlineTest {
 protected:
  void Lend(int instances) {
    StartMeasured(instances);
    reader_ = std::jthread([this] {
      WaitingThread thread;
      lent_ = Submit(1);
      thread.Run();
    });
    model_->AwaitBatches(3);
  }
  void Finish(const std::shared_ptr<Answer>& other) {
    model_->FinishAll();
    EXPECT_TRUE(other->Await().ok());
    reader_.join();
    EXPECT_EQ(lent_->times(), 1);
  }

 private:
  std::shared_ptr<Answer> lent_;
  std::jthread reader_;
};

TEST_F(BatcherLentTest, WhatComesMeanwhileWaitsForIt) {
  Lend(/*instances=*/1);
  EXPECT_EQ(batcher_->counters().busy_instances, 1);
  const auto other = Submit(1);
  EXPECT_EQ(batcher_->counters().queued_rows, 1);
  Finish(other);
}

TEST_F(BatcherLentTest, WhatComesMeanwhileRunsOnOneThatIsIdle) {
  for (int i = 0; i < 20; ++i) {  // A signal may wake the thread of either.
    Lend(/*instances=*/2);
    const auto other = Submit(1);
    model_->AwaitBatches(4);
    Finish(other);
    batcher_.reset();
    measured_ = 0;
  }
}

TEST_F(BatcherInlineTest, ABatchThatWaitsForCompanyWaitsOnTheInstance) {
  options_.max_queue_delay = absl::Microseconds(50);
  StartMeasured();
  model_->FinishAll();
  WaitingThread thread;
  const auto answer = Submit(1);
  thread.Run();
  EXPECT_EQ(answer->times(), 0);
  while (answer->times() == 0) clock_.Advance(absl::Microseconds(50));
  EXPECT_TRUE(answer->Await().ok());
}

TEST_F(BatcherInlineTest, WhatIsNoLongerWantedIsDropped) {
  StartMeasured();
  WaitingThread thread;
  const auto cancel = std::make_shared<CancelFlag>();
  const auto answer = Submit(1, 0, {.cancel = cancel});
  cancel->Cancel();
  thread.Run();
  EXPECT_EQ(CodeOf(answer), absl::StatusCode::kCancelled);
  EXPECT_EQ(batches(), 0u);
}

TEST_F(BatcherInlineTest, WhatIsLeftWhenItStopsIsToldSo) {
  StartMeasured();
  WaitingThread thread;
  const auto answer = Submit(1);
  batcher_.reset();
  EXPECT_EQ(CodeOf(answer), absl::StatusCode::kUnavailable);
  thread.Run();
  EXPECT_EQ(answer->times(), 1);
}

TEST_F(BatcherInlineTest, StoppingWaitsForTheBatchThatRuns) {
  StartMeasured();
  std::shared_ptr<Answer> answer;
  std::jthread reader([&] {
    WaitingThread thread;
    answer = Submit(1);
    thread.Run();
  });
  model_->AwaitBatches(3);
  std::atomic<bool> stopped = false;
  std::jthread stopper([&] {
    batcher_->Stop();
    stopped = true;
  });
  while (batcher_->CheckAdmission({.rows = 1}, Arrival()).ok()) std::this_thread::yield();
  EXPECT_FALSE(stopped);
  model_->FinishOne();
  stopper.join();
  EXPECT_EQ(answer->times(), 1) << "once Stop has returned no callback runs";
  EXPECT_TRUE(answer->Await().ok());
}

TEST_F(BatcherInlineTest, StoppingWaitsForAnAnswerThatNeedsNoModel) {
  StartMeasured();
  std::atomic<bool> answering = false, go_on = false, stopped = false;
  std::jthread reader([&] {
    WaitingThread thread;
    const auto cancel = std::make_shared<CancelFlag>();
    BatchTask task{.rows = 1, .input = {kZeroRow}, .cancel = cancel};
    task.done = [&](const absl::StatusOr<BatchResult>&) {
      answering = true;
      while (!go_on) std::this_thread::yield();
    };
    batcher_->Schedule(std::move(task));
    cancel->Cancel();
    thread.Run();
  });
  while (!answering) std::this_thread::yield();
  std::jthread stopper([&] {
    batcher_->Stop();
    stopped = true;
  });
  while (batcher_->CheckAdmission({.rows = 1}, Arrival()).ok()) std::this_thread::yield();
  absl::SleepFor(absl::Milliseconds(10));
  EXPECT_FALSE(stopped);
  go_on = true;
}

TEST_F(BatcherInlineTest, ANegativeLimitIsRefused) {
  options_.inline_limit = -absl::Nanoseconds(1);
  PuppetModel model(options_.instances, options_.max_batch_size);
  EXPECT_EQ(Batcher::Create(options_, model.Runner(), clock_).status().message(),
            "inline_limit in ns must be >= 0; was -1");
}

}  // namespace
}  // namespace calserve
