#include "server/http/thread_times.h"

#include <time.h>

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/thread_name.h"

namespace calserve {
namespace {

using testing::DoubleEq;
using testing::Pair;
using testing::UnorderedElementsAre;

TEST(ThreadGroupTest, GoesByTheNames) {
  EXPECT_EQ(ThreadGroup("instance"), "instance");
  EXPECT_EQ(ThreadGroup("decode"), "decode");
  for (const char* name : {"nexting_thread", "default-executo", "resolver-execut", "grpc_global_tim",
                           "grpcpp_sync_ser", "event_engine", "timer_manager"}) {
    EXPECT_EQ(ThreadGroup(name), "grpc") << name;
  }
  for (const char* name : {"calserve-server", "jemalloc_bg_thd", "instances", ""})
    EXPECT_EQ(ThreadGroup(name), "other") << name;
}

// Each thread is asked for with whether it still lives.
class ThreadTotalsTest : public testing::Test {
 protected:
  void Look(const std::map<pid_t, ThreadTotals::Thread>& found) {
    totals_.Add(found, [this](pid_t id) { return living_.contains(id); });
  }
  double Seconds(const std::string& group) const { return totals_.seconds().at(group); }

  std::set<pid_t> living_;
  ThreadTotals totals_;
};

TEST_F(ThreadTotalsTest, HasEveryGroupFromTheBeginning) {
  EXPECT_THAT(totals_.seconds(),
              UnorderedElementsAre(Pair("instance", DoubleEq(0)), Pair("decode", DoubleEq(0)),
                                   Pair("grpc", DoubleEq(0)), Pair("other", DoubleEq(0))));
}

TEST_F(ThreadTotalsTest, AddsUpTheThreadsOfAGroup) {
  Look({{1, {"decode", 2}}, {2, {"decode", 3}}, {3, {"grpc", 4}}});
  EXPECT_DOUBLE_EQ(Seconds("decode"), 5);
  EXPECT_DOUBLE_EQ(Seconds("grpc"), 4);
  Look({{1, {"decode", 2.5}}, {2, {"decode", 3}}, {3, {"grpc", 4}}});
  EXPECT_DOUBLE_EQ(Seconds("decode"), 5.5);
}

TEST_F(ThreadTotalsTest, KeepsWhatAThreadTookThatHasEnded) {
  Look({{1, {"decode", 2}}});
  Look({});
  EXPECT_DOUBLE_EQ(Seconds("decode"), 2);
}

TEST_F(ThreadTotalsTest, DoesNotCountAThreadTwiceThatOneLookMissed) {
  living_ = {1};
  Look({{1, {"decode", 2}}});
  Look({});
  Look({{1, {"decode", 2.5}}});
  EXPECT_DOUBLE_EQ(Seconds("decode"), 2.5);
}

TEST_F(ThreadTotalsTest, CountsAThreadWithTheIdOfAnotherFromItsStart) {
  Look({{1, {"decode", 2}}});
  Look({{1, {"grpc", 0.5}}});
  EXPECT_DOUBLE_EQ(Seconds("decode"), 2);
  EXPECT_DOUBLE_EQ(Seconds("grpc"), 0.5);
}

TEST_F(ThreadTotalsTest, CountsForTheNewNameWhatAThreadTakesAfterIt) {
  Look({{1, {"other", 2}}});
  Look({{1, {"decode", 2.5}}});
  EXPECT_DOUBLE_EQ(Seconds("other"), 2);
  EXPECT_DOUBLE_EQ(Seconds("decode"), 0.5);
}

constexpr double kWork = 0.03;       // seconds of CPU time
constexpr double kTolerance = 0.02;  // of starting a thread, and of a time that is kept by the tick

void Burn(double seconds) {
  const auto now = [] {
    timespec cpu{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    return static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9;
  };
  for (const double end = now() + seconds; now() < end;) {
  }
}

// A thread that has done `work` and lives until it is told to end.
class Worker {
 public:
  explicit Worker(const std::function<void()>& work)
      : thread_([this, work] {
          work();
          done_ = true;
          done_.notify_all();
          end_.wait(false);
        }) {
    done_.wait(false);
  }
  ~Worker() {
    end_ = true;
    end_.notify_all();
  }

 private:
  std::atomic<bool> done_{false}, end_{false};
  std::jthread thread_;
};

class ThreadTimesTest : public testing::Test {
 protected:
  void SetUp() override {
    before_ = times_.Read();
    if (before_.empty()) GTEST_SKIP() << "this kernel keeps no times of threads";
  }
  double Since(const std::string& group) { return times_.Read().at(group) - before_.at(group); }

  ThreadTimes times_;
  std::map<std::string, double> before_;
};

TEST_F(ThreadTimesTest, TellsThreadsApartByTheirNames) {
  const Worker decoder([] {
    NameThread(kDecodeThread);
    Burn(kWork);
  });
  const Worker poller([] {
    NameThread("nexting_thread");
    Burn(2 * kWork);
  });
  EXPECT_NEAR(Since("decode"), kWork, kTolerance);
  EXPECT_NEAR(Since("grpc"), 2 * kWork, kTolerance);
}

TEST_F(ThreadTimesTest, CountsAThreadThatAnotherStartedAsThatOne) {
  std::optional<Worker> helper;
  const Worker instance([&helper] {
    NameThread(kInstanceThread);
    helper.emplace([] { Burn(kWork); });
    Burn(kWork);
  });
  EXPECT_NEAR(Since("instance"), 2 * kWork, kTolerance);
}

TEST_F(ThreadTimesTest, KeepsWhatAThreadHadTakenOnceItHasEnded) {
  double seen = 0;
  {
    const Worker decoder([] {
      NameThread(kDecodeThread);
      Burn(kWork);
    });
    seen = Since("decode");
  }
  EXPECT_GE(seen, kWork - kTolerance);
  EXPECT_GE(Since("decode"), seen);
}

}  // namespace
}  // namespace calserve
