#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "server/base/monotonic_clock.h"
#include "server/base/mutex.h"
#include "server/batching/batcher.h"
#include "tests/unit/batching/batcher_fixture.h"
#include "tests/unit/batching/puppet_model.h"

namespace calserve {
namespace {

// Knows how often a clock was looked at and on how many conditions threads slept by it.
class WatchedClock final : public MonotonicClock {
 public:
  explicit WatchedClock(MonotonicClock& clock) : clock_(clock) {}

  absl::Time Now() const override {
    ++looks_;
    return clock_.Now();
  }
  void WaitUntil(CondVar* cv, Mutex* mu, absl::Time time) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    {
      MutexLock lock(&mu_);
      slept_on_.insert(cv);
    }
    clock_.WaitUntil(cv, mu, time);
  }
  int64_t looks() const { return looks_; }
  size_t slept_on() const {
    MutexLock lock(&mu_);
    return slept_on_.size();
  }

 private:
  MonotonicClock& clock_;
  mutable std::atomic<int64_t> looks_{0};
  mutable Mutex mu_;
  std::set<const CondVar*> slept_on_ ABSL_GUARDED_BY(mu_);
};

// The sweeper sleeps on one condition, an instance that does not spin on another.
constexpr size_t kSweeper = 1, kSweeperAndInstance = 2;
constexpr int64_t kManyLooks = 1'000;

class BatcherSpinTest : public BatcherTest {
 protected:
  ~BatcherSpinTest() override { batcher_.reset(); }  // It reads watched_.

  MonotonicClock& clock() override { return watched_; }
  void Start(absl::Duration spin, int instances = 1) {
    options_.spin = spin;
    options_.instances = instances;
    BatcherTest::Start();
    model_->FinishAll();
  }
  // Until a thread has spun on for a while.
  void AwaitSpinning() const {
    for (const int64_t before = watched_.looks(); watched_.looks() < before + kManyLooks;)
      std::this_thread::yield();
  }
  void AwaitSleepOn(size_t conditions) const {
    while (watched_.slept_on() < conditions) std::this_thread::yield();
  }

  WatchedClock watched_{clock_};
};

TEST_F(BatcherSpinTest, AnIdleInstanceSpinsForItsTimeAndThenSleeps) {
  Start(absl::Milliseconds(1));
  AwaitSpinning();
  clock_.Advance(absl::Microseconds(999));
  AwaitSpinning();
  EXPECT_LE(watched_.slept_on(), kSweeper);
  EXPECT_EQ(batcher_->counters().busy_instances, 0);
  clock_.Advance(absl::Microseconds(1));
  AwaitSleepOn(kSweeperAndInstance);
  EXPECT_TRUE(Submit(1)->Await().ok());
}

TEST_F(BatcherSpinTest, WhatComesWhileItSpinsIsRunWithoutASleep) {
  Start(absl::Hours(1));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(Submit(1)->Await().ok());
  AwaitSpinning();
  EXPECT_LE(watched_.slept_on(), kSweeper);
}

TEST_F(BatcherSpinTest, InstancesToWhomNothingFallsSpinOn) {
  Start(absl::Hours(1), /*instances=*/3);
  for (int i = 0; i < 100; ++i) {
    std::vector<std::shared_ptr<Answer>> answers;
    for (int task = 0; task < 3; ++task) answers.push_back(Submit(1));
    for (const auto& answer : answers) EXPECT_TRUE(answer->Await().ok());
  }
  EXPECT_LE(watched_.slept_on(), kSweeper);
}

TEST_F(BatcherSpinTest, StoppingEndsIt) {
  Start(absl::Hours(1));
  AwaitSpinning();
  batcher_->Stop();
  EXPECT_LE(watched_.slept_on(), kSweeper);
}

TEST_F(BatcherSpinTest, WithoutItAnIdleInstanceSleepsAtOnce) {
  Start(absl::ZeroDuration());
  AwaitSleepOn(kSweeperAndInstance);
}

TEST_F(BatcherSpinTest, ANegativeTimeIsRefused) {
  options_.spin = -absl::Nanoseconds(1);
  PuppetModel model(options_.instances, options_.max_batch_size);
  EXPECT_EQ(Batcher::Create(options_, model.Runner(), clock_).status().message(),
            "spin in ns must be >= 0; was -1");
}

}  // namespace
}  // namespace calserve
