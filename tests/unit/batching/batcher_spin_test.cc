#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/monotonic_clock.h"
#include "server/base/mutex.h"
#include "server/batching/batcher.h"
#include "tests/unit/batching/batcher_fixture.h"
#include "tests/unit/batching/puppet_model.h"

namespace calserve {
namespace {

// A manual clock that knows how often it was looked at and on how many conditions threads slept by it.
class WatchedClock final : public MonotonicClock {
 public:
  absl::Time Now() const override {
    ++looks_;
    return manual_.Now();
  }
  void WaitUntil(CondVar* cv, Mutex* mu, absl::Time time) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    {
      MutexLock lock(&mu_);
      slept_on_.insert(cv);
    }
    manual_.WaitUntil(cv, mu, time);
  }
  void Advance(absl::Duration by) { manual_.Advance(by); }
  int64_t looks() const { return looks_; }
  size_t slept_on() const {
    MutexLock lock(&mu_);
    return slept_on_.size();
  }

 private:
  ManualMonotonicClock manual_;
  mutable std::atomic<int64_t> looks_{0};
  mutable Mutex mu_;
  std::set<const CondVar*> slept_on_ ABSL_GUARDED_BY(mu_);
};

// The sweeper sleeps on one condition, an instance that does not spin on another.
constexpr size_t kSweeper = 1, kSweeperAndInstance = 2;
constexpr int64_t kManyLooks = 1'000;

class BatcherSpinTest : public testing::Test {
 protected:
  void Start(absl::Duration spin, int instances = 1) {
    BatchingOptions options;
    options.max_batch_size = 4;
    options.spin = spin;
    options.instances = instances;
    absl::StatusOr<std::unique_ptr<Batcher>> batcher = Batcher::Create(options, model_.Runner(), clock_);
    ASSERT_TRUE(batcher.ok()) << batcher.status();
    batcher_ = *std::move(batcher);
    model_.FinishAll();
  }
  // Until a thread has spun on for a while.
  void AwaitSpinning() const {
    for (const int64_t before = clock_.looks(); clock_.looks() < before + kManyLooks;)
      std::this_thread::yield();
  }
  void AwaitSleepOn(size_t conditions) const {
    while (clock_.slept_on() < conditions) std::this_thread::yield();
  }
  std::shared_ptr<Answer> Submit() {
    auto answer = std::make_shared<Answer>();
    BatchTask task;
    task.rows = 1;
    task.input = {1};
    task.done = [answer](absl::StatusOr<BatchResult> result) { answer->Give(std::move(result)); };
    batcher_->Schedule(std::move(task));
    return answer;
  }

  WatchedClock clock_;
  PuppetModel model_{/*instances=*/3, /*max_batch_size=*/4};
  std::unique_ptr<Batcher> batcher_;
};

TEST_F(BatcherSpinTest, AnIdleInstanceSpinsForItsTimeAndThenSleeps) {
  Start(absl::Milliseconds(1));
  AwaitSpinning();
  clock_.Advance(absl::Microseconds(999));
  AwaitSpinning();
  EXPECT_LE(clock_.slept_on(), kSweeper);
  EXPECT_EQ(batcher_->counters().busy_instances, 0);
  clock_.Advance(absl::Microseconds(1));
  AwaitSleepOn(kSweeperAndInstance);
  EXPECT_TRUE(Submit()->Await().ok());
}

TEST_F(BatcherSpinTest, WhatComesWhileItSpinsIsRunWithoutASleep) {
  Start(absl::Hours(1));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(Submit()->Await().ok());
  AwaitSpinning();
  EXPECT_LE(clock_.slept_on(), kSweeper);
}

TEST_F(BatcherSpinTest, InstancesToWhomNothingFallsSpinOn) {
  Start(absl::Hours(1), /*instances=*/3);
  for (int i = 0; i < 100; ++i) {
    std::vector<std::shared_ptr<Answer>> answers;
    for (int task = 0; task < 3; ++task) answers.push_back(Submit());
    for (const auto& answer : answers) EXPECT_TRUE(answer->Await().ok());
  }
  EXPECT_LE(clock_.slept_on(), kSweeper);
}

TEST_F(BatcherSpinTest, StoppingEndsIt) {
  Start(absl::Hours(1));
  AwaitSpinning();
  batcher_->Stop();
  EXPECT_LE(clock_.slept_on(), kSweeper);
}

TEST_F(BatcherSpinTest, WithoutItAnIdleInstanceSleepsAtOnce) {
  Start(absl::ZeroDuration());
  AwaitSleepOn(kSweeperAndInstance);
}

TEST_F(BatcherSpinTest, ANegativeTimeIsRefused) {
  BatchingOptions options;
  options.spin = -absl::Nanoseconds(1);
  EXPECT_EQ(Batcher::Create(options, model_.Runner(), clock_).status().message(),
            "spin in ns must be >= 0; was -1");
}

}  // namespace
}  // namespace calserve
