#include "server/main_signals.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

namespace calserve {
namespace {

// Each in a process of its own: the second signal ends it.
void WaitForOne(int stop) {
  MainSignals signals;
  std::thread([stop] { kill(getpid(), stop); }).join();
  signals.Wait();
  if (signals.stop() != stop || signals.device_lost()) std::exit(1);
}

TEST(MainSignalsTest, AStopWakesTheMainThread) {
  for (const int stop : {SIGTERM, SIGINT, SIGHUP}) {
    EXPECT_EXIT(
        {
          WaitForOne(stop);
          std::exit(0);
        },
        testing::ExitedWithCode(0), "");
  }
}

TEST(MainSignalsTest, ASecondStopOfEitherKindEndsTheProcessWhateverItDoes) {
  for (const int first : {SIGTERM, SIGINT}) {
    for (const int second : {SIGTERM, SIGINT}) {
      EXPECT_EXIT(
          {
            WaitForOne(first);
            kill(getpid(), second);
            while (true) pause();
          },
          testing::KilledBySignal(second), "");
    }
  }
}

TEST(MainSignalsTest, AStopCountsWhereItWasBlocked) {
  EXPECT_EXIT(
      {
        sigset_t stops;
        sigemptyset(&stops);
        sigaddset(&stops, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &stops, nullptr);
        WaitForOne(SIGTERM);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(MainSignalsTest, AHangUpThatIsIgnoredStaysIgnored) {
  EXPECT_EXIT(
      {
        signal(SIGHUP, SIG_IGN);
        MainSignals signals;
        kill(getpid(), SIGHUP);
        std::exit(signals.stop());
      },
      testing::ExitedWithCode(0), "");
}

TEST(MainSignalsTest, ALostDeviceWakesItOnceAndLeavesTheFirstStopToBeNoted) {
  EXPECT_EXIT(
      {
        MainSignals signals;
        std::thread([&signals] { signals.TellDeviceLost(); }).join();
        signals.Wait();
        if (!signals.device_lost() || signals.stop() != 0) std::exit(1);
        std::thread([&signals] { signals.TellDeviceLost(); }).join();
        kill(getpid(), SIGTERM);
        signals.Wait();
        std::exit(signals.stop() == SIGTERM ? 0 : 2);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace calserve
