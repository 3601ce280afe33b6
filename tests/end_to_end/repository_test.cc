// The repository of versions as its operator and its clients see it: the real server polls a directory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "tests/end_to_end/model_variants.h"
#include "tests/end_to_end/scenario.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/small_disk.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Duration kTimeout = absl::Seconds(60);
constexpr float kTolerance = 1e-3f;

class RepositoryTest : public ::testing::Test {
 protected:
  void Start(std::vector<std::string> flags) {
    ServerFlags server{.model_repository = repository_.path(), .data_dir = data_dir_.path()};
    server.more = std::move(flags);
    server.environment = environment_;
    server_.emplace(server);
    ASSERT_TRUE(server_->WaitUntilServing()) << server_->log();
    api_.emplace(server_->address());
  }
  void Poll() { Start({"--repository-control", "poll", "--repository-poll-interval", "50ms"}); }

  Reply<v1::PredictResponse> Predict(const v1::PredictRequest& request) { return api_->Predict(request); }
  static v1::PredictRequest Request() {
    v1::PredictRequest request = TestTensorRequest(0, 1);
    request.mutable_options()->set_return_logits(true);
    return request;
  }
  static v1::PredictRequest Labelled(const std::string& label) {
    v1::PredictRequest request = Request();
    request.set_version_label(label);
    return request;
  }
  static v1::PredictRequest Keyed(const std::string& key) {
    v1::PredictRequest request = Request();
    request.set_routing_key(key);
    return request;
  }
  // The logit that WriteDemoVariant shifts.
  static float ShiftedLogit(const v1::PredictResponse& response) { return response.predictions(0).logits(0); }

  // An input of the demo model as a file.
  static std::string Npy(const std::string& values) {
    const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 28, 28), }";
    const std::string padded = header + std::string(128 - 10 - header.size() - 1, ' ') + "\n";
    return std::string("\x93NUMPY\x01\x00", 8) + std::string("\x76\x00", 2) + padded + values;
  }

  v1::Model Model() {
    const auto reply = api_->GetModel(kModel);
    EXPECT_TRUE(reply.ok()) << reply.status;
    return reply->model();
  }
  v1::ModelVersion Version(int64_t version) {
    const v1::Model model = Model();
    for (const v1::ModelVersion& known : model.versions()) {
      if (known.version() == version) return known;
    }
    return {};
  }
  // False after a minute.
  bool WaitFor(int64_t version, v1::ModelState state) {
    for (const absl::Time end = absl::Now() + kTimeout; absl::Now() < end;
         absl::SleepFor(absl::Milliseconds(10))) {
      if (Version(version).state() == state) return true;
    }
    ADD_FAILURE() << "version " << version << ": " << Version(version).ShortDebugString() << "\n"
                  << server_->log();
    return false;
  }

  TempDir data_dir_, scratch_;
  std::vector<std::string> environment_;  // of the server
  VariantRepository repository_{scratch_.path()};
  std::optional<ServerProcess> server_;
  std::optional<Api> api_;
};

TEST_F(RepositoryTest, ANewVersionTakesTheOldOnesPlace) {
  Poll();
  const auto before = Predict(Request());
  ASSERT_TRUE(before.ok()) << before.status;
  EXPECT_EQ(before->model_version(), 1);
  repository_.AddVersion(2, 20);
  ASSERT_TRUE(WaitFor(2, v1::MODEL_STATE_READY));
  const auto after = Predict(Request());
  ASSERT_TRUE(after.ok()) << after.status;
  EXPECT_EQ(after->model_version(), 2);
  EXPECT_NEAR(ShiftedLogit(after.response), ShiftedLogit(before.response) + 20, kTolerance);
  ASSERT_TRUE(WaitFor(1, v1::MODEL_STATE_UNAVAILABLE));
  EXPECT_THAT(Version(1).reason(), HasSubstr("versions: latest: 1"));
  v1::PredictRequest old = Request();
  old.set_model_version(1);
  EXPECT_EQ(Predict(old).status.reason, "MODEL_VERSION_NOT_FOUND");
}

TEST_F(RepositoryTest, AVersionThatFailsLeavesTheOldOneServingAndItsReasonIsListed) {
  Poll();
  repository_.AddBrokenVersion(2, "this is no model");
  ASSERT_TRUE(WaitFor(2, v1::MODEL_STATE_FAILED));
  EXPECT_THAT(Version(2).reason(), HasSubstr("2/model.pt"));
  EXPECT_EQ(Version(1).state(), v1::MODEL_STATE_READY);
  const auto reply = Predict(Request());
  ASSERT_TRUE(reply.ok()) << reply.status;
  EXPECT_EQ(reply->model_version(), 1);
  // Also after a restart, where version 1 was not loaded before.
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(kTimeout), 0);
  Poll();
  EXPECT_EQ(Version(2).state(), v1::MODEL_STATE_FAILED);
  EXPECT_EQ(Predict(Request())->model_version(), 1);
}

TEST_F(RepositoryTest, WithoutRoomToUnpackAPackageWaitsForIt) {
  SmallDisk disk(256 << 10);
  if (!disk.mounted()) GTEST_SKIP() << "needs root: a small file system has to be mounted";
  environment_ = {"TMPDIR=" + disk.path()};
  Poll();
  std::ifstream file(FixtureModels() + "/fashion_mnist_pt2/1/model.pt2", std::ios::binary);
  repository_.WriteFile(2, "model.pt2", {std::istreambuf_iterator<char>(file), {}});
  // It is tried again meanwhile, and then has no reason.
  std::string reason;
  for (const absl::Time end = absl::Now() + kTimeout; reason.empty() && absl::Now() < end;) {
    const v1::ModelVersion version = Version(2);
    if (version.state() == v1::MODEL_STATE_FAILED) reason = version.reason();
  }
  EXPECT_THAT(reason,
              AllOf(HasSubstr(disk.path()), HasSubstr("(TMPDIR) has "),
                    HasSubstr("2/model.pt2 takes 741376 bytes there once it is unpacked: make room")));
  EXPECT_EQ(Predict(Request())->model_version(), 1);
  disk.Grow(16 << 20);
  ASSERT_TRUE(WaitFor(2, v1::MODEL_STATE_READY)) << "nothing of it was touched";
  EXPECT_EQ(Predict(Request())->model_version(), 2);
}

// As a download in parts leaves it, whose last part came before the middle.
TEST_F(RepositoryTest, AFileWithAHoleIsNotServedUntilItIsWhole) {
  Poll();
  WriteDemoVariant(scratch_ / "whole.pt", 20);
  std::ifstream file(scratch_ / "whole.pt", std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  std::string with_hole = whole;
  with_hole.replace(whole.size() / 2, 10'000, 10'000, '\0');
  repository_.WriteFile(2, "model.pt", with_hole);
  ASSERT_TRUE(WaitFor(2, v1::MODEL_STATE_FAILED));
  EXPECT_THAT(Version(2).reason(), HasSubstr("is damaged, or not fully copied yet"));
  EXPECT_EQ(Predict(Request())->model_version(), 1);
  repository_.WriteFile(2, "model.pt", whole);
  ASSERT_TRUE(WaitFor(2, v1::MODEL_STATE_READY));
  EXPECT_EQ(Predict(Request())->model_version(), 2);
}

// The weights that were read are not served under labels that came meanwhile, nor under those of before.
TEST_F(RepositoryTest, WhatChangesWhileItIsLoadedIsLoadedAgain) {
  Poll();
  std::string last = Model().labels(0), first = Model().labels(1);
  const auto answer = Predict(Request());
  ASSERT_TRUE(answer.ok()) << answer.status;
  // Many samples make the load long. Should it be over before the labels change, another version is tried.
  constexpr int kSamples = 256, kMostVersions = 20;
  bool seen = false;
  for (int64_t version = 2; !seen && version < kMostVersions; ++version) {
    std::string samples;
    for (int i = 0; i < kSamples; ++i) {
      absl::StrAppend(&samples, i == 0 ? "" : ", ", R"({"file": ")", i, R"(.npy", "logits": [)",
                      absl::StrJoin(answer->predictions(0).logits(), ", "),
                      R"(], "tolerance": {"absolute": 0.1}})");
      repository_.WriteFile(version, absl::StrCat("warmup/", i, ".npy"),
                            Npy(Request().inputs(0).tensor().data()));
    }
    repository_.WriteFile(version, "warmup/expected.json",
                          absl::StrCat(R"({"format": 1, "samples": [)", samples, "]}"));
    WriteDemoVariant(scratch_ / "model.pt", 0);
    std::filesystem::rename(scratch_ / "model.pt",
                            absl::StrCat(repository_.model_path(), "/", version, "/model.pt"));
    const std::string loading = absl::StrCat("version=", version, " state=LOADING");
    ASSERT_TRUE(server_->WaitForLine(loading, kTimeout).has_value()) << server_->log();
    repository_.SwapFirstLabels();
    std::swap(first, last);
    ASSERT_TRUE(WaitFor(version, v1::MODEL_STATE_READY));
    // It has to be of both at once, whichever came first.
    for (const absl::Time end = absl::Now() + kTimeout; Model().labels(0) != last && absl::Now() < end;) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    EXPECT_EQ(Model().labels(0), last);
    seen = absl::StrContains(server_->log(), "changed while it was loaded");
  }
  EXPECT_TRUE(seen) << server_->log();
}

TEST_F(RepositoryTest, AFileThatGrowsBesideTheModelDoesNotMatter) {
  const std::jthread writer([&](const std::stop_token& stop) {
    std::ofstream log(repository_.model_path() + "/1/train.log");
    while (!stop.stop_requested()) {
      log << "epoch" << std::endl;
      absl::SleepFor(absl::Milliseconds(1));
    }
  });
  ASSERT_NO_FATAL_FAILURE(Start({}));
  EXPECT_TRUE(Predict(Request()).ok());
}

TEST_F(RepositoryTest, AVolumeThatIsNoLongerMountedUnloadsNothing) {
  Poll();
  const std::string away = scratch_ / "away";
  std::filesystem::rename(repository_.path(), away);
  std::filesystem::create_directory(repository_.path());
  EXPECT_TRUE(server_->WaitForLine("no longer mounted", kTimeout).has_value()) << server_->log();
  absl::SleepFor(absl::Milliseconds(300));  // six more looks
  EXPECT_TRUE(Predict(Request()).ok()) << Predict(Request()).status;
  std::filesystem::remove(repository_.path());
  std::filesystem::rename(away, repository_.path());
  repository_.AddVersion(2, 20);
  ASSERT_TRUE(WaitFor(2, v1::MODEL_STATE_READY));
}

TEST_F(RepositoryTest, AModelThatIsRemovedIsWithdrawnAndTheLogSaysSo) {
  Poll();
  std::filesystem::remove_all(repository_.model_path());
  EXPECT_TRUE(server_->WaitForLine("state=UNLOADING", kTimeout).has_value()) << server_->log();
  // Until its last version is gone it is not ready.
  std::string reason;
  for (const absl::Time end = absl::Now() + kTimeout; reason != "MODEL_NOT_FOUND" && absl::Now() < end;) {
    reason = Predict(Request()).status.reason;
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_EQ(reason, "MODEL_NOT_FOUND");
}

TEST_F(RepositoryTest, AVersionThatDisagreesWithItsSamplesIsNotServed) {
  Poll();
  const auto first = Predict(Request());
  ASSERT_TRUE(first.ok()) << first.status;
  const v1::Tensor tensor = Request().inputs(0).tensor();
  const std::string npy = Npy(tensor.data());
  const auto expected = [&](float shift) {
    std::string logits;
    for (int i = 0; i < 10; ++i) {
      absl::StrAppend(&logits, i == 0 ? "" : ", ", first->predictions(0).logits(i) + (i == 0 ? shift : 0));
    }
    return absl::StrCat(R"({"format": 1, "samples": [{"file": "input_0.npy", "logits": [)", logits,
                        R"(], "tolerance": {"absolute": 0.01}}]})");
  };
  repository_.AddVersion(2, 20);
  repository_.WriteFile(2, "warmup/input_0.npy", npy);
  repository_.WriteFile(2, "warmup/expected.json", expected(/*shift=*/0));
  ASSERT_TRUE(WaitFor(2, v1::MODEL_STATE_FAILED));
  EXPECT_THAT(Version(2).reason(), AllOf(HasSubstr("warm-up sample input_0.npy"), HasSubstr("the logit of")));
  EXPECT_EQ(Predict(Request())->model_version(), 1);
  repository_.WriteFile(2, "warmup/expected.json", expected(/*shift=*/20));
  ASSERT_TRUE(WaitFor(2, v1::MODEL_STATE_READY));
  EXPECT_EQ(Predict(Request())->model_version(), 2);
}

TEST_F(RepositoryTest, ABrokenModelYamlLeavesWhatServesAndIsListed) {
  Poll();
  repository_.WriteYaml("instance: 3\n");
  for (const absl::Time end = absl::Now() + kTimeout; Model().reason().empty() && absl::Now() < end;) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_THAT(Model().reason(), AllOf(HasSubstr("model.yaml"), HasSubstr("instance is not a known key")));
  EXPECT_TRUE(Predict(Request()).ok());
  repository_.WriteYaml("versions: all\n");
  repository_.AddVersion(2, 1);
  ASSERT_TRUE(WaitFor(2, v1::MODEL_STATE_READY));
  EXPECT_EQ(Model().reason(), "");
  EXPECT_EQ(Version(1).state(), v1::MODEL_STATE_READY);
}

TEST_F(RepositoryTest, AClassNameMeansWhatItMeantAtThePrediction) {
  Poll();
  const auto before = Predict(Request());
  ASSERT_TRUE(before.ok()) << before.status;
  const std::string first = Model().labels(0);
  repository_.SwapFirstLabels();
  for (const absl::Time end = absl::Now() + kTimeout; absl::Now() < end && Model().labels(0) == first;) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  ASSERT_EQ(Model().labels(1), first) << server_->log();
  v1::SubmitFeedbackRequest by_name;
  v1::FeedbackItem& item = *by_name.add_items();
  item.set_ticket(before->predictions(0).ticket());
  item.set_class_name(first);
  const auto stored = api_->SubmitFeedback(by_name);
  ASSERT_TRUE(stored.ok()) << stored.status;
  EXPECT_THAT(Outcomes(stored.response), ElementsAre(v1::FEEDBACK_OUTCOME_ACCEPTED));
  v1::SubmitFeedbackRequest by_index;
  *by_index.add_items() = Item(before->predictions(0).ticket(), 0);
  const auto again = api_->SubmitFeedback(by_index);
  EXPECT_THAT(Outcomes(again.response), ElementsAre(v1::FEEDBACK_OUTCOME_DUPLICATE)) << "the same class";
}

TEST_F(RepositoryTest, TrafficIsSplitByLabelAndEachVersionHasItsOwnWindows) {
  repository_.AddVersion(2, 20);
  repository_.WriteYaml(
      "version_labels: {stable: 1, canary: 2}\n"
      "traffic: {stable: 70, canary: 30}\n");
  Poll();
  EXPECT_THAT(Version(1).version_labels(), ElementsAre("stable"));
  EXPECT_EQ(Model().traffic(1).weight(), 30);
  EXPECT_EQ(Model().default_version(), 1) << "the larger share, not the newest";
  EXPECT_EQ(Predict(Labelled("stable"))->model_version(), 1);
  EXPECT_EQ(Predict(Labelled("canary"))->model_version(), 2);
  EXPECT_EQ(Predict(Labelled("next")).status.reason, "VERSION_LABEL_NOT_FOUND");

  // By key: always the same side. Without: by the prediction's id. What answers is what the answer says.
  const float base = ShiftedLogit(Predict(Labelled("stable")).response);
  std::map<int64_t, int> answers;
  std::map<int64_t, double> confidence;  // The same in every answer of a version: it is the same image.
  v1::SubmitFeedbackRequest feedback;
  constexpr int kRequests = 400;
  for (int i = 0; i < kRequests; ++i) {
    const bool keyed = i % 2 == 0;
    const std::string key = absl::StrCat("user-", i);
    const auto reply = Predict(keyed ? Keyed(key) : Request());
    ASSERT_TRUE(reply.ok()) << reply.status;
    const int64_t version = reply->model_version();
    EXPECT_NEAR(ShiftedLogit(reply.response), base + (version == 2 ? 20 : 0), kTolerance);
    if (keyed) {
      EXPECT_EQ(Predict(Keyed(key))->model_version(), version);
    }
    ++answers[version];
    const v1::Prediction& prediction = reply->predictions(0);
    const int predicted = prediction.top_classes(0).index();
    confidence[version] = prediction.confidence();
    // The stable side is always right, the canary never.
    *feedback.add_items() = Item(prediction.ticket(), version == 1 ? predicted : (predicted + 1) % 10);
  }
  EXPECT_NEAR(answers[2], kRequests * 0.3, 5 * std::sqrt(kRequests * 0.3 * 0.7));

  ASSERT_TRUE(api_->SubmitFeedback(feedback).ok());
  for (const int64_t version : {1, 2}) {
    v1::GetCalibrationReportRequest request = WindowRequest(0);
    request.set_model_version(version);
    v1::CalibrationMetrics served;
    for (const absl::Time end = absl::Now() + kTimeout; served.n() < answers[version] && absl::Now() < end;) {
      served = api_->Report(request)->report().served();
    }
    EXPECT_EQ(served.n(), answers[version]) << "version " << version;
    // One bin: |accuracy - confidence|.
    const double accuracy = version == 1 ? 1 : 0;
    EXPECT_EQ(served.accuracy(), accuracy) << "version " << version;
    EXPECT_NEAR(served.ece(), std::abs(accuracy - confidence[version]), 1e-4) << "version " << version;
  }
}

// Its memory may be a device's.
TEST_F(RepositoryTest, AReplacedVersionIsLetGoWhileItsCalibrationIsWatched) {
  Poll();
  v1::WatchCalibrationRequest request;
  request.set_model(kModel);
  request.set_model_version(1);
  const auto watch = api_->WatchCalibration(request);
  v1::WatchCalibrationResponse report;
  ASSERT_TRUE(watch->Read(&report));
  repository_.AddVersion(2, 0);
  ASSERT_TRUE(WaitFor(2, v1::MODEL_STATE_READY));
  EXPECT_TRUE(WaitFor(1, v1::MODEL_STATE_UNAVAILABLE)) << "UNLOADING: it is held";
  watch->Cancel();
}

TEST_F(RepositoryTest, WithExplicitControlOnlyWhatIsNamedIsLoaded) {
  Start({"--repository-control", "explicit"});
  EXPECT_EQ(Predict(Request()).status.reason, "MODEL_NOT_FOUND");
  EXPECT_EQ(Version(1).state(), v1::MODEL_STATE_UNAVAILABLE);
  EXPECT_EQ(Version(1).reason(), "not loaded");
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->WaitForExit(kTimeout), 0) << server_->log();
  Start({"--repository-control", "explicit", "--repository-load", kModel});
  EXPECT_TRUE(Predict(Request()).ok());
}

TEST_F(RepositoryTest, WithoutControlAVersionThatFailsStopsTheStart) {
  repository_.AddBrokenVersion(2, "this is no model");
  ServerProcess server({.model_repository = repository_.path(), .data_dir = data_dir_.path()});
  EXPECT_EQ(server.WaitForExit(kTimeout), 3);
  EXPECT_THAT(server.log(), AllOf(HasSubstr("model 'fashion_mnist' version 2"), HasSubstr("2/model.pt")));
}

}  // namespace
}  // namespace calserve::e2e
