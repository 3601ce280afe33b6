#include "server/recalibration/low_priority_worker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>

#include "gtest/gtest.h"
#include "server/base/mutex.h"

namespace calserve {
namespace {

// Holds a task until it is opened.
class Gate {
 public:
  void Open() {
    MutexLock lock(&mu_);
    open_ = true;
    changed_.SignalAll();
  }
  void Pass() {
    MutexLock lock(&mu_);
    ++waiting_;
    changed_.SignalAll();
    while (!open_) changed_.Wait(&mu_);
  }
  void WaitUntilReached() {
    MutexLock lock(&mu_);
    while (waiting_ == 0) changed_.Wait(&mu_);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  int waiting_ ABSL_GUARDED_BY(mu_) = 0;
};

int NiceOfThisThread() { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); }

TEST(LowPriorityWorkerTest, RunsNicerThanTheThreadsThatPredict) {
  const int before = NiceOfThisThread();
  int nice = 0;
  {
    LowPriorityWorker worker(1);
    ASSERT_TRUE(worker.TryRun([&] { nice = NiceOfThisThread(); }));
  }
  EXPECT_GE(nice, 10);
  EXPECT_EQ(NiceOfThisThread(), before);
}

TEST(LowPriorityWorkerTest, RefusesMoreThanItsQueueHoldsAndRunsTheRestAtDestruction) {
  Gate gate;
  std::atomic<int> ran{0};
  {
    LowPriorityWorker worker(2);
    ASSERT_TRUE(worker.TryRun([&] { gate.Pass(); }));
    gate.WaitUntilReached();
    EXPECT_TRUE(worker.TryRun([&] { ++ran; }));
    EXPECT_TRUE(worker.TryRun([&] { ++ran; }));
    EXPECT_FALSE(worker.TryRun([&] { ++ran; }));
    gate.Open();
  }
  EXPECT_EQ(ran, 2);
}

}  // namespace
}  // namespace calserve
