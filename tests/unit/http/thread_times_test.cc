#include "server/http/thread_times.h"

#include <time.h>

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/thread_name.h"

namespace calserve {
namespace {

constexpr double kWork = 0.03;       // seconds of CPU time
constexpr double kTolerance = 0.02;  // of the threads of gtest and the sanitizers

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

TEST(ThreadTimesTest, TellsThreadsApartByTheirNames) {
  ThreadTimes times;
  const std::map<std::string, double> before = times.Read();
  ASSERT_THAT(before, testing::UnorderedElementsAre(testing::Key("instance"), testing::Key("decode"),
                                                    testing::Key("grpc"), testing::Key("other")));
  const Worker decoder([] {
    NameThread(kDecodeThread);
    Burn(kWork);
  });
  const Worker poller([] {
    NameThread("nexting_thread");
    Burn(2 * kWork);
  });
  std::map<std::string, double> after = times.Read();
  EXPECT_NEAR(after["decode"] - before.at("decode"), kWork, kTolerance);
  EXPECT_NEAR(after["grpc"] - before.at("grpc"), 2 * kWork, kTolerance);
}

TEST(ThreadTimesTest, CountsAThreadThatAnotherStartedAsThatOne) {
  ThreadTimes times;
  const double before = times.Read()["instance"];
  std::optional<Worker> helper;
  const Worker instance([&helper] {
    NameThread(kInstanceThread);
    helper.emplace([] { Burn(kWork); });
    Burn(kWork);
  });
  EXPECT_NEAR(times.Read()["instance"] - before, 2 * kWork, kTolerance);
}

TEST(ThreadTimesTest, KeepsWhatAThreadHadTakenOnceItHasEnded) {
  ThreadTimes times;
  double seen = 0;
  {
    const Worker decoder([] {
      NameThread(kDecodeThread);
      Burn(kWork);
    });
    seen = times.Read()["decode"];
  }
  EXPECT_GE(seen, kWork - 0.001);
  EXPECT_GE(times.Read()["decode"], seen);
  EXPECT_LT(times.Read()["decode"], seen + kTolerance);
}

}  // namespace
}  // namespace calserve
