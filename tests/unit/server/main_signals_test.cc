#include "server/main_signals.h"

#include <gtest/gtest.h>

#include <thread>

namespace calserve {
namespace {

// Made on the main thread, before gtest has another.
MainSignals signals;

TEST(MainSignalsTest, AStopWakesTheMainThread) {
  for (const int stop : {SIGTERM, SIGINT}) {
    std::thread([stop] { kill(getpid(), stop); }).join();
    EXPECT_EQ(signals.Wait(), stop);
  }
}

TEST(MainSignalsTest, ALostDeviceWakesItOnceAndAnythingElseOfThatSignalDoesNot) {
  kill(getpid(), SIGUSR1);  // somebody's mistake
  kill(getpid(), SIGTERM);
  EXPECT_EQ(signals.Wait(), SIGTERM);
  EXPECT_FALSE(signals.device_lost());
  std::thread([] { signals.TellDeviceLost(); }).join();
  EXPECT_EQ(signals.Wait(), 0);
  EXPECT_TRUE(signals.device_lost());
  std::thread([] { signals.TellDeviceLost(); }).join();
  kill(getpid(), SIGTERM);
  EXPECT_EQ(signals.Wait(), SIGTERM) << "it was told before";
}

}  // namespace
}  // namespace calserve
