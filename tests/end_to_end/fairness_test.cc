// Two models on one device, or two levels of priority of one: the flood of one is refused before the other is
// kept waiting, and the other gets its turns. Shares and ratios alone are asserted, generously; times belong
// to benchmarks.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/end_to_end/test_images.h"

namespace calserve::e2e {
namespace {

namespace fs = std::filesystem;

class FairnessTest : public ::testing::Test {
 protected:
  void StartServer(const std::vector<std::string>& flags = {}) {
    fs::create_directories(dir_ / "models");
    for (const char* name : {"flooded", "quiet"}) {
      fs::copy(DemoModels() + "/fashion_mnist", dir_ / "models/" + name, fs::copy_options::recursive);
    }
    std::ofstream(dir_ / "models/flooded/model.yaml", std::ios::app)
        << "priority_levels: 2\ndefault_priority: 2\n";
    std::vector<std::string> all = {"--batching-max-queue-rows", "64", "--decoding-max-queued-images", "64"};
    all.insert(all.end(), flags.begin(), flags.end());
    server_.emplace(ServerFlags{.model_repository = dir_ / "models", .data_dir = dir_ / "data", .more = all});
    ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
  }

  static v1::PredictRequest For(const std::string& model, v1::PredictRequest request) {
    request.set_model(model);
    return request;
  }

  // A lone caller's answers a second.
  static double QuietRate(const Api& api, const v1::PredictRequest& quiet) {
    const absl::Time begin = absl::Now();
    for (int i = 0; i < kQuietCalls; ++i) {
      const auto reply = api.Predict(quiet);
      EXPECT_TRUE(reply.ok()) << reply.status;
    }
    return kQuietCalls / absl::ToDoubleSeconds(absl::Now() - begin);
  }

  // Predicts `quiet` alone, then while `flood` is sent without pause; returns how many of the flood were
  // refused. For each answer of quiet there are to be no more than `most_per_quiet` of the flood, and of its
  // answers a second alone at least `least_share` beside it.
  int64_t Flood(const v1::PredictRequest& flood, const v1::PredictRequest& quiet,
                int most_per_quiet = kMaxFloodPerQuiet, double least_share = kMinQuietShare) {
    const Api api(server_->address());
    QuietRate(api, quiet);  // The first are slow.
    const double alone = QuietRate(api, quiet);
    std::atomic<bool> stop = false;
    std::atomic<int64_t> refused = 0, answered = 0, failed = 0;
    std::vector<std::jthread> callers;
    for (int caller = 0; caller < kFloodCallers; ++caller) {
      callers.emplace_back([&] {
        const Api flooding(server_->address());
        while (!stop) {
          const CallStatus status = flooding.Predict(flood).status;
          if (status.ok()) {
            ++answered;
          } else if (status.code == absl::StatusCode::kResourceExhausted) {
            ++refused;
          } else if (failed++ == 0) {
            ADD_FAILURE() << "the first that failed otherwise: " << status;
          }
          // Backs off, so that the callers leave the server some of the machine.
          if (!status.ok()) absl::SleepFor(absl::Milliseconds(1));
        }
      });
    }
    while (refused == 0 && failed == 0) std::this_thread::yield();
    const int64_t answered_before = answered;
    const double beside = QuietRate(api, quiet);
    const int64_t flood_answered = answered - answered_before;
    stop = true;
    callers.clear();
    EXPECT_GT(flood_answered, 0) << "nor is the flood starved";
    EXPECT_LE(flood_answered, most_per_quiet * kQuietCalls) << "the quiet model gets its turns";
    EXPECT_GE(beside, alone * least_share) << "answers a second, alone: " << alone;
    EXPECT_EQ(failed, 0);
    RecordProperty("quiet_share", absl::StrCat(beside / alone));
    RecordProperty("flood_per_quiet", absl::StrCat(1.0 * flood_answered / kQuietCalls));
    return refused;
  }

  static constexpr int kFloodCallers = 32, kQuietCalls = 200;
  // In turn the two would be answered alike; a starved model sees hundreds of the other's go before.
  static constexpr int kMaxFloodPerQuiet = 10;
  // Each turn of the flood is 32 rows to the quiet model's one, on the processors that its 32 callers use
  // too.
  static constexpr double kMinQuietShare = 0.01;

  TempDir dir_;
  std::optional<ServerProcess> server_;
};

TEST_F(FairnessTest, AFloodOfTensorsRefusesNothingOfAnotherModel) {
  ASSERT_NO_FATAL_FAILURE(StartServer());
  EXPECT_GT(Flood(For("flooded", TestTensorRequest(0, 32)), For("quiet", TestTensorRequest(0, 1))), 0);
}

// The thread that reads visits each connection in turn, and runs some of what it has read in between: the
// quiet caller is answered at least as often as one of the flood's.
TEST_F(FairnessTest, AFloodRefusesNothingOfAnotherModelAlsoWhereBatchesRunWhereTheyWereRead) {
  ASSERT_NO_FATAL_FAILURE(StartServer({"--batching-inline-limit", "10ms", "--grpc-spin", "300us"}));
  EXPECT_GT(Flood(For("flooded", TestTensorRequest(0, 32)), For("quiet", TestTensorRequest(0, 1)),
                  kFloodCallers, kMinQuietShare / 4),
            0);
}

TEST_F(FairnessTest, AFloodOfImagesRefusesNothingOfAnotherModel) {
  ASSERT_NO_FATAL_FAILURE(StartServer());
  const std::vector<std::string> many(32, TestImages::Get().Png(0));
  EXPECT_GT(Flood(For("flooded", ImageRequest(many)), For("quiet", ImageRequest({many[0]}))), 0);
}

TEST_F(FairnessTest, AFloodOfImagesRefusesNothingUrgentOfTheSameModel) {
  ASSERT_NO_FATAL_FAILURE(StartServer());
  const std::vector<std::string> many(32, TestImages::Get().Png(0));
  v1::PredictRequest urgent = For("flooded", ImageRequest({many[0]}));
  urgent.mutable_options()->set_priority(1);
  EXPECT_GT(Flood(For("flooded", ImageRequest(many)), urgent), 0);
}

}  // namespace
}  // namespace calserve::e2e
