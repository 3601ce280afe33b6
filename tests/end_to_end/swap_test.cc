// A hundred versions one after the other under load: no call fails, no answer mixes two versions or has one's
// logits and another's calibrator, and memory stays where it was after the first twenty.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <iostream>
#include <limits>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/feedback/store.h"
#include "server/feedback/tickets.h"
#include "tests/end_to_end/model_variants.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

constexpr int kSwaps = 100;
constexpr int kSettled = 20;  // swaps after which memory is compared
constexpr int kWindow = 10;   // swaps of which memory is the least: a version being loaded takes 1 MB
constexpr int kClients = 3;
constexpr absl::Duration kTimeout = absl::Seconds(60);
constexpr absl::Duration kPause = absl::Milliseconds(2);  // of a client: the cores are not saturated
constexpr float kTolerance = 1e-3f;                       // of a logit
constexpr double kProbabilityTolerance = 1e-5;

// What WriteDemoVariant adds to the first logit of a version: neighbours differ. 0 for version 1, the demo.
float ShiftOf(int64_t version) { return static_cast<float>((version - 1) % 8) * 5; }

// Of the calibrator.json that a version brings: no two have the same, neighbours are far apart. Version 1,
// the demo, brings none, which is plain softmax.
double TemperatureOf(int64_t version) {
  return version == 1 ? 1 : 2 + 2 * static_cast<double>(version % 5) + static_cast<double>(version) / 200;
}

std::string CalibratorOf(int64_t version) {
  return absl::StrCat(R"({"format": "calserve.calibrator.v1", "method": "temperature", "classes": 10, )",
                      R"("parameters": {"temperature": )", TemperatureOf(version), "}}");
}

std::vector<double> Softmax(absl::Span<const float> logits, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> out;
  double sum = 0;
  for (const float logit : logits) sum += out.emplace_back(std::exp((logit - largest) / temperature));
  for (double& value : out) value /= sum;
  return out;
}

double LargestDifference(absl::Span<const double> a, absl::Span<const double> b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

// An answer's ticket, to be opened when the server has stopped.
struct Sealed {
  int64_t version = 0;
  float max_logit = 0;
  std::string ticket;
};

// What an answer says of its calibrator.
using CalibratorName = std::pair<int64_t, std::string>;

// Clients that predict until they are told to stop, and look at every answer. Thread-safe.
class Load {
 public:
  Load(const std::string& address, std::vector<float> base) : base_(std::move(base)) {
    for (int i = 0; i < kClients; ++i) threads_.emplace_back([this, address] { Predict(Api(address)); });
  }
  void Stop() {
    stopping_ = true;
    threads_.clear();
  }

  int64_t answers() const { return answers_; }
  std::vector<std::string> faults() const {
    MutexLock lock(&mu_);
    return faults_;
  }
  // An answer of each version.
  std::map<int64_t, Sealed> tickets() const {
    MutexLock lock(&mu_);
    return tickets_;
  }
  // The calibrators that answers of each version named: version and method.
  std::map<int64_t, std::set<CalibratorName>> calibrators() const {
    MutexLock lock(&mu_);
    return calibrators_;
  }

 private:
  void Predict(const Api& api) {
    v1::PredictRequest request = TestTensorRequest(0, 1);
    request.mutable_options()->set_return_logits(true);
    request.mutable_options()->set_return_probabilities(true);
    for (; !stopping_; absl::SleepFor(kPause)) {
      const auto reply = api.Predict(request);
      ++answers_;
      MutexLock lock(&mu_);
      if (!reply.ok()) {
        faults_.push_back(absl::StrCat("a call failed: ", reply.status.message));
        continue;
      }
      Check(reply->model_version(), reply->predictions(0));
      calibrators_[reply->model_version()].emplace(reply->calibrator_version(), reply->calibrator_method());
    }
  }

  void Check(int64_t version, const v1::Prediction& prediction) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (int i = 0; i < prediction.logits_size(); ++i) {
      const float expected = base_[i] + (i == 0 ? ShiftOf(version) : 0);
      if (std::abs(prediction.logits(i) - expected) <= kTolerance) continue;
      faults_.push_back(absl::StrCat("an answer of version ", version, " has logit ", i, " of ",
                                     prediction.logits(i), " instead of ", expected));
    }
    const std::vector<double> probabilities(prediction.probabilities().begin(),
                                            prediction.probabilities().end());
    const std::vector<double> calibrated = Softmax(prediction.logits(), TemperatureOf(version));
    if (probabilities.size() != calibrated.size() ||
        LargestDifference(probabilities, calibrated) > kProbabilityTolerance) {
      faults_.push_back(absl::StrCat("an answer of version ", version, " has probabilities ",
                                     absl::StrJoin(probabilities, " "), " instead of ",
                                     absl::StrJoin(calibrated, " ")));
    }
    const float max_logit = *std::max_element(prediction.logits().begin(), prediction.logits().end());
    tickets_[version] = {version, max_logit, prediction.ticket()};
  }

  const std::vector<float> base_;  // the logits of version 1
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> answers_{0};
  mutable Mutex mu_;
  std::vector<std::string> faults_ ABSL_GUARDED_BY(mu_);
  std::map<int64_t, Sealed> tickets_ ABSL_GUARDED_BY(mu_);
  std::map<int64_t, std::set<CalibratorName>> calibrators_ ABSL_GUARDED_BY(mu_);
  std::vector<std::jthread> threads_;
};

class SwapTest : public ::testing::Test {
 protected:
  bool WaitUntilServing(const Api& api, int64_t version) {
    for (const absl::Time end = absl::Now() + kTimeout; absl::Now() < end;
         absl::SleepFor(absl::Milliseconds(5))) {
      const v1::Model model = api.GetModel(kModel)->model();
      for (const v1::ModelVersion& known : model.versions()) {
        if (known.version() == version && known.state() == v1::MODEL_STATE_READY) return true;
      }
    }
    return false;
  }

  // By model version; each has the temperature of its version.
  static std::map<int64_t, CalibratorName> ShippedCalibrators(const Api& api) {
    v1::ListCalibratorsRequest request;
    request.set_model(kModel);
    request.set_page_size(1000);
    const auto reply = api.ListCalibrators(request);
    EXPECT_TRUE(reply.ok()) << reply.status;
    std::map<int64_t, CalibratorName> shipped;
    for (const v1::Calibrator& calibrator : reply->calibrators()) {
      const int64_t version = calibrator.model_version();
      EXPECT_TRUE(shipped.emplace(version, CalibratorName(calibrator.version(), calibrator.method())).second);
      EXPECT_EQ(calibrator.origin(), "shipped");
      EXPECT_NEAR(calibrator.parameters(0).values(0), TemperatureOf(version), 1e-9);
    }
    return shipped;
  }

  TempDir data_dir_, scratch_;
};

TEST_F(SwapTest, AHundredSwapsUnderLoadFailNoCallMixNoVersionsAndKeepNoMemory) {
  const VariantRepository repository(scratch_.path());
  ServerProcess server({.model_repository = repository.path(),
                        .data_dir = data_dir_.path(),
                        .more = {"--repository-control", "poll", "--repository-poll-interval", "20ms",
                                 "--batching-inline-limit", "2ms"},
                        .environment = {kGiveBackAtOnce}});
  ASSERT_TRUE(server.WaitUntilServing()) << server.log();
  const Api api(server.address());
  v1::PredictRequest request = TestTensorRequest(0, 1);
  request.mutable_options()->set_return_logits(true);
  const auto first = api.Predict(request);
  ASSERT_TRUE(first.ok()) << first.status;
  const v1::Prediction& by_demo = first->predictions(0);
  // With the calibrator of the version before, or of the next, an answer would be seen to be wrong.
  for (int64_t version = 2; version <= kSwaps + 1; ++version) {
    std::vector<float> logits(by_demo.logits().begin(), by_demo.logits().end());
    logits[0] += ShiftOf(version);
    const std::vector<double> own = Softmax(logits, TemperatureOf(version));
    for (const int64_t neighbour : {version - 1, version + 1}) {
      ASSERT_GT(LargestDifference(own, Softmax(logits, TemperatureOf(neighbour))),
                100 * kProbabilityTolerance)
          << version << " and " << neighbour;
    }
  }
  Load load(server.address(), {by_demo.logits().begin(), by_demo.logits().end()});

  int64_t settled_kb = std::numeric_limits<int64_t>::max(), end_kb = settled_kb;
  for (int swap = 1; swap <= kSwaps; ++swap) {
    const int64_t version = swap + 1;
    repository.AddVersion(version, ShiftOf(version), CalibratorOf(version));
    ASSERT_TRUE(WaitUntilServing(api, version)) << version << "\n" << server.log();
    repository.RemoveVersion(version - 1);
    const int64_t kb = server.StatusKilobytes("VmRSS");
    if (swap > kSettled - kWindow && swap <= kSettled) settled_kb = std::min(settled_kb, kb);
    if (swap > kSwaps - kWindow) end_kb = std::min(end_kb, kb);
  }
  load.Stop();
  const std::map<int64_t, CalibratorName> shipped = ShippedCalibrators(api);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(kTimeout), 0) << server.log();

  EXPECT_THAT(load.faults(), testing::IsEmpty());
  const std::map<int64_t, Sealed> tickets = load.tickets();
  EXPECT_GE(tickets.size(), kSwaps * 9u / 10) << "almost every version answered while it served";
  EXPECT_EQ(shipped.size(), kSwaps);
  for (const auto& [version, named] : load.calibrators()) {
    const CalibratorName own = version == 1 ? CalibratorName(0, "none") : shipped.at(version);
    EXPECT_THAT(named, testing::ElementsAre(own)) << "version " << version;
  }
  const double allowed_kb = std::max(settled_kb / 100.0, 4.0 * 1024);
  std::cout << load.answers() << " answers by " << tickets.size() << " versions; RSS " << settled_kb
            << " kB after " << kSettled << " swaps, " << end_kb << " kB after " << kSwaps << "\n";
  EXPECT_GT(settled_kb, 0);
  EXPECT_LE(end_kb - settled_kb, allowed_kb);

  StoreOptions store_options;
  store_options.data_dir = data_dir_.path();
  const auto store = OpenStore(store_options);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto sealer = CreateTicketSealer({}, data_dir_.path(), (*store)->deployment_id(), Clock::System());
  ASSERT_TRUE(sealer.ok()) << sealer.status();
  for (const auto& [version, sealed] : tickets) {
    const auto opened = (*sealer)->Open(sealed.ticket);
    ASSERT_TRUE(std::holds_alternative<TicketContent>(opened)) << version;
    EXPECT_EQ(std::get<TicketContent>(opened).model_version, version);
    EXPECT_EQ(std::get<TicketContent>(opened).max_logit, sealed.max_logit);
  }
}

}  // namespace
}  // namespace calserve::e2e
