// kill -9 at random times under eight streams of feedback that send again what was not acknowledged.
// Afterwards every acknowledged label is in the store exactly once, and the windows are those of a fold from
// scratch, to the bit.
//
// A kill counts as having hit an open commit if it fell between the first byte that SQLite wrote of a
// transaction and the arrival of its acknowledgement. That shows in one of two ways: the write-ahead log of
// the killed server ends in frames that no frame commits; or a label that was sent and not acknowledged
// before the kill turns out to be stored when it is sent again. A run in which no kill did is a failure: it
// would have tested nothing.
//
// 20 kills, every second as soon as a commit begins after its random time; CALSERVE_KILLS has another number.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <thread>

#include "absl/time/clock.h"
#include "tests/end_to_end/persistent_labeller.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/store_file.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

constexpr int kStreams = 8;
constexpr int kLabelsPerKill = 800;
constexpr int kMaxMillisecondsToLive = 120;  // from the first acknowledgement of a life
constexpr absl::Duration kTimeout = absl::Seconds(60);

int Kills() {
  const char* kills = std::getenv("CALSERVE_KILLS");
  return kills == nullptr ? 20 : std::max(1, std::atoi(kills));
}

class KillTest : public ::testing::Test {
 protected:
  std::unique_ptr<ServerProcess> Start(const std::string& data_dir) {
    auto server = std::make_unique<ServerProcess>(
        ServerFlags{.data_dir = data_dir, .more = {"--monitoring-checkpoint-interval", "1s"}});
    EXPECT_TRUE(server->WaitUntilServing()) << server->log();
    return server;
  }
  void Stop(ServerProcess* server) {
    server->Signal(SIGTERM);
    ASSERT_EQ(server->WaitForExit(kTimeout), 0) << server->log();
  }

  // Real predictions to be labelled, on as many threads as there are streams.
  static std::vector<std::vector<Labelled>> Predict(const std::string& address, int count_each) {
    const Api api(address);
    std::vector<std::vector<Labelled>> predictions(kStreams);
    std::vector<std::jthread> threads;
    for (int i = 0; i < kStreams; ++i) {
      threads.emplace_back([&, i] { predictions[i] = PredictTestImages(api, i * count_each, count_each); });
    }
    threads.clear();
    return predictions;
  }

  // Every window, and the alarm, as a fold of `n` labels has it: without the time at which it was asked for,
  // and what a server counts from its start.
  static std::vector<std::string> Windows(const std::string& address, int64_t n) {
    const Api api(address);
    const absl::Time deadline = absl::Now() + kTimeout;
    std::vector<std::string> windows;
    for (const char* window : {"last_1000", "last_10000", "last_1h", "last_24h"}) {
      v1::WindowReport report;
      do {
        report = api.Report(WindowRequest(0, window))->report();
      } while ((report.catching_up() || report.as_of().position() < n) && absl::Now() < deadline);
      EXPECT_EQ(report.as_of().position(), n);
      EXPECT_FALSE(report.catching_up());
      if (std::string(window) == "last_24h") {
        EXPECT_EQ(report.served().n(), n);
      }
      report.mutable_as_of()->clear_time();
      report.clear_selection();
      windows.push_back(report.SerializeAsString());
    }
    return windows;
  }

  // Until the file is written to: a commit has begun, and is open until the disk has it. For a second at
  // most.
  static void AwaitWrite(const std::string& file) {
    std::error_code none;
    const auto before = std::filesystem::last_write_time(file, none);
    const absl::Time deadline = absl::Now() + absl::Seconds(1);
    while (std::filesystem::last_write_time(file, none) == before && absl::Now() < deadline) {
    }
  }

  TempDir scratch_;
  std::mt19937 random_{std::random_device()()};
};

TEST_F(KillTest, EveryAcknowledgedLabelIsStoredOnceAndWindowsAreThoseOfAFoldFromScratch) {
  const int kills = Kills();
  const std::string data_dir = scratch_ / "data";
  const std::string store = data_dir + "/calserve.db";
  auto server = Start(data_dir);
  const auto predictions = Predict(server->address(), kLabelsPerKill * kills / kStreams);

  Whereabouts whereabouts;
  std::vector<std::unique_ptr<PersistentLabeller>> labellers;
  for (int i = 0; i < kStreams; ++i) {
    labellers.push_back(std::make_unique<PersistentLabeller>(whereabouts, predictions[i], kills,
                                                             static_cast<int>(random_())));
  }
  const auto acknowledgements = [&] {
    int64_t sum = 0;
    for (const auto& labeller : labellers) sum += labeller->acknowledgements();
    return sum;
  };

  std::set<int> lives_with_open_transaction;
  for (int life = 1; life <= kills; ++life) {
    const int64_t before = acknowledgements();
    whereabouts.MovedTo(server->address());
    const absl::Time deadline = absl::Now() + kTimeout;
    while (acknowledgements() == before) {
      ASSERT_LT(absl::Now(), deadline) << "life " << life << ": no acknowledgement\n" << server->log();
      absl::SleepFor(absl::Milliseconds(1));
    }
    // The random moment that this test is about.
    absl::SleepFor(absl::Microseconds(random_() % (kMaxMillisecondsToLive * 1000)));
    if (life % 2 == 0) AwaitWrite(store + "-wal");
    server->Signal(SIGKILL);
    ASSERT_EQ(server->WaitForExit(kTimeout), 128 + SIGKILL);
    if (HasOpenTransaction(store + "-wal")) lives_with_open_transaction.insert(life);
    server = Start(data_dir);
  }
  whereabouts.MovedTo(server->address());

  std::set<std::string> acknowledged;
  std::set<int> hit = lives_with_open_transaction;
  int64_t sent_again = 0;
  for (const auto& labeller : labellers) {
    const PersistentLabeller::Record record = labeller->Finish();
    EXPECT_THAT(record.faults, testing::IsEmpty());
    acknowledged.insert(record.acknowledged.begin(), record.acknowledged.end());
    hit.insert(record.lives_that_stored_unacknowledged.begin(),
               record.lives_that_stored_unacknowledged.end());
    sent_again += record.sent_again;
  }
  std::cout << kills << " kills, " << hit.size() << " of them in an open commit ("
            << lives_with_open_transaction.size() << " left unfinished frames), " << acknowledged.size()
            << " labels, " << sent_again << " sent again\n";
  EXPECT_GT(sent_again, 0) << "no kill hit a label under way: nothing was tested";
  EXPECT_GE(hit.size(), 1) << "no kill hit an open commit: nothing was tested";

  // A drain saves what is folded: after the last kill that takes a moment.
  Windows(server->address(), static_cast<int64_t>(acknowledged.size()));
  Stop(server.get());
  const StoredLog log = ReadStoredLog(store);
  EXPECT_EQ(log.prediction_ids, acknowledged) << "stored and acknowledged are the same labels";
  EXPECT_EQ(log.rows, static_cast<int64_t>(acknowledged.size())) << "each once";
  EXPECT_EQ(log.first_position, 1);
  EXPECT_EQ(log.last_position, log.rows) << "positions are dense";
  EXPECT_EQ(log.next_position, log.rows + 1);
  EXPECT_EQ(log.rows_out_of_time, 0);
  EXPECT_EQ(log.checkpoint_position, log.rows) << "the drain saved the windows";

  const std::string copy = scratch_ / "copy";
  std::filesystem::copy(data_dir, copy, std::filesystem::copy_options::recursive);
  DeleteCheckpoints(copy + "/calserve.db");
  ASSERT_EQ(ReadStoredLog(copy + "/calserve.db").checkpoint_position, 0);
  const auto restored = Start(data_dir);
  const auto from_scratch = Start(copy);
  EXPECT_EQ(Windows(restored->address(), log.rows), Windows(from_scratch->address(), log.rows));
}

}  // namespace
}  // namespace calserve::e2e
