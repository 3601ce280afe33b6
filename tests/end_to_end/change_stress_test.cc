// Threads predict while everything that can change does. For each kind of change: the codes that must appear
// (or the test saw nothing), those that may, and no other; and every answer is whole, of one version.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/mutex.h"
#include "tests/end_to_end/kserve_api.h"
#include "tests/end_to_end/model_variants.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

using Code = absl::StatusCode;
using Codes = std::set<Code>;
namespace fs = std::filesystem;

constexpr int kThreads = 3;
constexpr int kRounds = 6;
constexpr absl::Duration kTimeout = absl::Seconds(60);
constexpr absl::Duration kPause = absl::Milliseconds(1);
// After a change has taken effect: long enough for every thread to meet it.
constexpr absl::Duration kDwell = absl::Milliseconds(50);
constexpr float kTolerance = 1e-3f;

float ShiftOf(int64_t version) { return static_cast<float>(version - 1) * 3; }

class ChangeStressTest : public ::testing::Test {
 protected:
  void Start(const std::string& yaml = "",
             const std::vector<std::string>& control = {"--repository-control", "poll",
                                                        "--repository-poll-interval", "10ms"}) {
    repository_.WriteYaml(yaml);
    ServerFlags flags{.model_repository = repository_.path(), .data_dir = data_dir_.path()};
    flags.more = control;
    flags.more.insert(flags.more.end(), {"--batching-inline-limit", "2ms"});
    server_.emplace(flags);
    ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
    api_.emplace(server_->address());
    v1::PredictRequest request = Request();
    request.set_model_version(1);
    const auto reply = api_->Predict(request);
    ASSERT_TRUE(reply.ok()) << reply.status;
    base_.assign(reply->predictions(0).logits().begin(), reply->predictions(0).logits().end());
  }

  static v1::PredictRequest Request(int rows = 1) {
    v1::PredictRequest request = TestTensorRequest(0, rows);
    request.mutable_options()->set_return_logits(true);
    return request;
  }

  // The same over KServe v2.
  static inference::ModelInferRequest ToKserve(const v1::PredictRequest& request) {
    inference::ModelInferRequest out;
    out.set_model_name(request.model());
    if (request.model_version() != 0) out.set_model_version(absl::StrCat(request.model_version()));
    if (!request.version_label().empty()) {
      (*out.mutable_parameters())["version_label"].set_string_param(request.version_label());
    }
    auto& input = *out.add_inputs();
    input.set_name("input");
    input.set_datatype("FP32");
    input.add_shape(request.inputs_size());
    for (const int64_t length : request.inputs(0).tensor().shape()) input.add_shape(length);
    std::string& values = *out.add_raw_input_contents();
    for (const v1::Input& row : request.inputs()) values += row.tensor().data();
    out.add_outputs()->set_name("logits");
    return out;
  }

  // Predicts `request` on every thread, on one of them over KServe v2, while `change(round)` is applied
  // kRounds times.
  void Run(const v1::PredictRequest& request, const Codes& must, const Codes& may,
           const std::function<void(int round)>& change) {
    std::atomic<bool> stopping{false};
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        const Api api(server_->address());
        for (; !stopping; absl::SleepFor(kPause)) Count(api.Predict(request));
      });
    }
    threads.emplace_back([&] {
      const KserveApi api(server_->address());
      const inference::ModelInferRequest infer = ToKserve(request);
      for (; !stopping; absl::SleepFor(kPause)) Count(api.Infer(infer));
    });
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
      change(round);
      absl::SleepFor(kDwell);
    }
    stopping = true;
    threads.clear();
    MutexLock lock(&mu_);
    EXPECT_THAT(mixed_, testing::IsEmpty());
    for (const auto& [interface, codes] : seen_) {
      for (const Code code : must) {
        EXPECT_GT(codes.count(code), 0) << interface << ": no " << absl::StatusCodeToString(code);
      }
      for (const auto& [code, seen] : codes) {
        EXPECT_TRUE(must.count(code) > 0 || may.count(code) > 0)
            << interface << ": " << seen.first << " times " << absl::StatusCodeToString(code) << ": "
            << seen.second << "\n"
            << server_->log();
      }
    }
    EXPECT_EQ(seen_.size(), 2) << "an interface was not asked";
  }

  void Count(const Reply<v1::PredictResponse>& reply) {
    MutexLock lock(&mu_);
    CountCode("calserve.v1", reply.status);
    if (!reply.ok()) return;
    const auto& logits = reply->predictions(0).logits();
    CheckLogits(reply->model_version(), {logits.begin(), logits.end()});
  }
  void Count(const Reply<inference::ModelInferResponse>& reply) {
    MutexLock lock(&mu_);
    CountCode("KServe v2", reply.status);
    if (!reply.ok()) return;
    std::vector<float> logits(base_.size());  // of the first row
    ASSERT_EQ(reply->raw_output_contents_size(), 1);
    ASSERT_GE(reply->raw_output_contents(0).size(), logits.size() * sizeof(float));
    std::memcpy(logits.data(), reply->raw_output_contents(0).data(), logits.size() * sizeof(float));
    CheckLogits(std::stoll(reply->model_version()), logits);
  }
  void CountCode(const std::string& interface, const CallStatus& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    auto& [count, message] = seen_[interface][status.code];
    ++count;
    if (message.empty()) message = status.message;
  }
  void CheckLogits(int64_t version, const std::vector<float>& logits) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (size_t i = 0; i < base_.size(); ++i) {
      const float expected = base_[i] + (i == 0 ? ShiftOf(version) : 0);
      if (std::abs(logits[i] - expected) <= kTolerance) continue;
      mixed_.insert(absl::StrCat("version ", version, " with logit ", i, " of ", logits[i]));
    }
  }

  void AddVersion(int64_t version) { repository_.AddVersion(version, ShiftOf(version)); }
  // Waits until `condition` holds of the model as GetModel tells it.
  void WaitUntil(const std::string& what, const std::function<bool(const v1::Model&)>& condition) {
    for (const absl::Time end = absl::Now() + kTimeout; absl::Now() < end; absl::SleepFor(kPause)) {
      if (condition(api_->GetModel(kModel)->model())) return;
    }
    ADD_FAILURE() << what << "\n" << server_->log();
  }
  void WaitFor(int64_t version, v1::ModelState state) {
    WaitUntil(absl::StrCat("version ", version, " ", v1::ModelState_Name(state)),
              [&](const v1::Model& model) {
                for (const v1::ModelVersion& known : model.versions()) {
                  if (known.version() == version) return known.state() == state;
                }
                return false;
              });
  }
  void WaitForLabel(const std::string& label, int64_t version) {
    WaitUntil(absl::StrCat(label, " on version ", version), [&](const v1::Model& model) {
      int64_t now = 0;
      for (const v1::ModelVersion& known : model.versions()) {
        for (const std::string& name : known.version_labels()) {
          if (name == label) now = known.version();
        }
      }
      return now == version;
    });
  }

  size_t Occurrences(const std::string& text) const {
    const std::string log = server_->log();
    size_t count = 0;
    for (size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++count;
    return count;
  }

  TempDir data_dir_, scratch_;
  VariantRepository repository_{scratch_.path()};
  std::optional<ServerProcess> server_;
  std::optional<Api> api_;
  std::vector<float> base_;  // logits of version 1

  Mutex mu_;
  // By interface: how often, and the first message.
  std::map<std::string, std::map<Code, std::pair<int, std::string>>> seen_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> mixed_ ABSL_GUARDED_BY(mu_);
};

TEST_F(ChangeStressTest, NewVersionsNoRequestFails) {
  Start();
  Run(Request(), /*must=*/{Code::kOk}, /*may=*/{}, [this](int round) {
    AddVersion(round + 2);
    WaitFor(round + 2, v1::MODEL_STATE_READY);
    repository_.RemoveVersion(round + 1);
  });
}

TEST_F(ChangeStressTest, AVersionThatComesAndGoesIsFoundOrNot) {
  Start("versions: all\n");
  v1::PredictRequest request = Request();
  request.set_model_version(2);
  // UNAVAILABLE: while it is loading or unloading.
  Run(request, /*must=*/{Code::kOk, Code::kNotFound}, /*may=*/{Code::kUnavailable}, [this](int round) {
    if (round % 2 == 0) {
      AddVersion(2);
      WaitFor(2, v1::MODEL_STATE_READY);
    } else {
      repository_.RemoveVersion(2);
      WaitUntil("version 2 gone", [](const v1::Model& model) { return model.versions_size() == 1; });
    }
  });
}

TEST_F(ChangeStressTest, VersionsThatFailNoRequestFails) {
  Start();
  Run(Request(), /*must=*/{Code::kOk}, /*may=*/{}, [this](int round) {
    repository_.AddBrokenVersion(round + 2, "this is no model");
    WaitFor(round + 2, v1::MODEL_STATE_FAILED);
  });
}

TEST_F(ChangeStressTest, ALabelThatMovesNoRequestFails) {
  Start("version_labels: {stable: 1}\n");
  v1::PredictRequest request = Request();
  request.set_version_label("stable");
  Run(request, /*must=*/{Code::kOk}, /*may=*/{}, [this](int round) {
    AddVersion(round + 2);
    repository_.WriteYaml(absl::StrCat("version_labels: {stable: ", round + 2, "}\n"));
    WaitForLabel("stable", round + 2);
  });
}

TEST_F(ChangeStressTest, ALabelThatIsTakenAwayIsNotFound) {
  Start("versions: all\nversion_labels: {canary: 1}\n");
  v1::PredictRequest request = Request();
  request.set_version_label("canary");
  Run(request, /*must=*/{Code::kOk, Code::kNotFound}, /*may=*/{}, [this](int round) {
    const bool labelled = round % 2 == 1;
    repository_.WriteYaml(labelled ? "versions: all\nversion_labels: {canary: 1}\n" : "versions: all\n");
    WaitForLabel("canary", labelled ? 1 : 0);
  });
}

TEST_F(ChangeStressTest, TrafficThatShiftsNoRequestFails) {
  AddVersion(2);
  const auto yaml = [](int canary) {
    return absl::StrCat("version_labels: {stable: 1, canary: 2}\ntraffic: {stable: ", 100 - canary,
                        ", canary: ", canary, "}\n");
  };
  Start(yaml(0));
  Run(Request(), /*must=*/{Code::kOk}, /*may=*/{}, [&](int round) {
    const int canary = 100 * (round + 1) / kRounds;
    repository_.WriteYaml(yaml(canary));
    WaitUntil("the split", [&](const v1::Model& model) {
      return model.traffic_size() == 2 && model.traffic(1).weight() == canary;
    });
  });
}

TEST_F(ChangeStressTest, SettingsThatChangeReloadAndNoRequestFails) {
  Start();
  Run(Request(), /*must=*/{Code::kOk}, /*may=*/{}, [this](int round) {
    const int queue_delay_ms = round + 1;
    const size_t loaded = Occurrences("model ready");
    repository_.WriteYaml(absl::StrCat("max_queue_delay: ", queue_delay_ms, "ms\n"));
    for (const absl::Time end = absl::Now() + kTimeout; Occurrences("model ready") == loaded;) {
      ASSERT_LT(absl::Now(), end) << server_->log();
      absl::SleepFor(kPause);
    }
  });
}

TEST_F(ChangeStressTest, ABatchThatNoLongerFitsIsInvalid) {
  Start();
  fs::copy(repository_.model_path() + "/model.yaml", scratch_ / "large.yaml");
  Run(Request(/*rows=*/8), /*must=*/{Code::kOk, Code::kInvalidArgument}, /*may=*/{}, [this](int round) {
    const int rows = round % 2 == 0 ? 4 : 32;  // The demo has 32.
    std::ifstream in(scratch_ / "large.yaml");
    std::string yaml((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    yaml.replace(yaml.find("max_batch_size: 32"), 18, absl::StrCat("max_batch_size: ", rows));
    std::ofstream(scratch_ / "staged.yaml") << yaml;
    fs::rename(scratch_ / "staged.yaml", repository_.model_path() + "/model.yaml");
    WaitUntil("max_batch_size", [&](const v1::Model& model) { return model.max_batch_size() == rows; });
  });
}

TEST_F(ChangeStressTest, AModelYamlThatBreaksNoRequestFails) {
  Start();
  Run(Request(), /*must=*/{Code::kOk}, /*may=*/{}, [this](int round) {
    const bool broken = round % 2 == 0;
    repository_.WriteYaml(broken ? "no_such_key: 1\n" : "");
    WaitUntil("the reason", [&](const v1::Model& model) { return model.reason().empty() != broken; });
  });
}

TEST_F(ChangeStressTest, AModelThatIsRemovedIsNotFound) {
  Start();
  Run(Request(), /*must=*/{Code::kOk, Code::kNotFound}, /*may=*/{Code::kUnavailable}, [this](int round) {
    const std::string here = repository_.model_path(), away = scratch_ / "away";
    const bool removed = round % 2 == 0;
    fs::rename(removed ? here : away, removed ? away : here);
    WaitUntil("the model", [&](const v1::Model& model) {
      bool ready = false;
      for (const v1::ModelVersion& version : model.versions())
        ready |= version.state() == v1::MODEL_STATE_READY;
      return ready != removed;
    });
  });
}

TEST_F(ChangeStressTest, CalibratorsThatChangeNoRequestFailsAndARacingActivationAborts) {
  Start("versions: all\n");
  Label(*api_, PredictTestImages(*api_, 0, 400));
  WaitForLabels(*api_, 0, 400);
  const auto fitted = Fit(*api_, StoredFit(v1::CALIBRATION_METHOD_TEMPERATURE));
  ASSERT_TRUE(fitted.ok()) << fitted.status;
  const int64_t version = fitted->version();
  int64_t active = 0;
  int reloads = 0;
  std::map<Code, int> racing;
  Run(Request(), /*must=*/{Code::kOk}, /*may=*/{}, [&](int) {
    const int64_t next = active == 0 ? version : 0;
    const auto activated = api_->Activate(ActivateRequest(next, active));
    EXPECT_TRUE(activated.ok()) << activated.status;
    // The same again expects what is no longer active.
    ++racing[api_->Activate(ActivateRequest(version, active)).status.code];
    active = next;
    // Meanwhile its version is loaded anew, and keeps what was activated.
    repository_.WriteYaml(absl::StrCat("versions: all\nmax_queue_delay: ", ++reloads, "ms\n"));
    EXPECT_EQ(api_->Predict(Request())->calibrator_version(), active);
  });
  EXPECT_THAT(racing, testing::ElementsAre(testing::Pair(Code::kAborted, kRounds)));
}

TEST_F(ChangeStressTest, AModelThatIsLoadedAndUnloadedByCallIsFoundOrNot) {
  // UNAVAILABLE while it is loading or unloading.
  Start("", {"--repository-control", "explicit", "--repository-load", kModel});
  const KserveApi operations(server_->address());
  std::map<std::string, std::map<Code, int>> changed;
  Run(Request(), /*must=*/{Code::kOk, Code::kNotFound}, /*may=*/{Code::kUnavailable}, [&](int round) {
    const int64_t version = round + 2;
    switch (round % 3) {
      case 0:
        AddVersion(version);
        ++changed["load"][operations.Load(kModel).code];
        break;
      case 1:  // The one before serves on.
        repository_.AddBrokenVersion(version, "this is no model");
        ++changed["load of a broken version"][operations.Load(kModel).code];
        EXPECT_EQ(api_->Predict(Request())->model_version(), version - 1);
        repository_.RemoveVersion(version);
        break;
      default:
        ++changed["unload"][operations.Unload(kModel).code];
    }
  });
  using Counts = std::map<Code, int>;
  EXPECT_EQ(changed["load"], (Counts{{Code::kOk, kRounds / 3}}));
  EXPECT_EQ(changed["load of a broken version"], (Counts{{Code::kFailedPrecondition, kRounds / 3}}));
  EXPECT_EQ(changed["unload"], (Counts{{Code::kOk, kRounds / 3}}));
}

}  // namespace
}  // namespace calserve::e2e
