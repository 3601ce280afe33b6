#include "server/model/model_repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <thread>

#include "server/base/error_info.h"
#include "tests/unit/model/fake_versions.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr absl::Duration kTimeout = absl::Seconds(20);

class ModelRepositoryTest : public ::testing::Test {
 protected:
  ModelRepositoryTest() {
    options_.poll_interval = absl::Milliseconds(5);
    fake_.Write("pets", 1);
  }
  ~ModelRepositoryTest() override {
    repository_.reset();
    EXPECT_EQ(fake_.fault(), "");
    EXPECT_EQ(fake_.alive(), 0);
  }

  absl::Status Start(const std::string& control) {
    options_.control = control;
    std::promise<absl::Status> started;
    repository_ = ModelRepository::Start(
        options_, fake_.Hooks(), [&started](absl::Status status) { started.set_value(std::move(status)); });
    return started.get_future().get();
  }
  void StartOrDie(const std::string& control) {
    const absl::Status started = Start(control);
    ASSERT_TRUE(started.ok()) << started;
  }

  ModelStatus Model(const std::string& name = "pets") {
    for (const ModelStatus& model : repository_->List()) {
      if (model.name == name) return model;
    }
    return {};
  }
  VersionStatus Version(int64_t version) {
    for (const VersionStatus& status : Model().versions) {
      if (status.version == version) return status;
    }
    return {};
  }
  // "READY", "UNAVAILABLE"; "" if the version is not listed.
  std::string State(int64_t version) {
    const VersionStatus status = Version(version);
    return status.version == 0 ? "" : std::string(StateName(status.state));
  }
  static bool Eventually(const std::function<bool()>& condition) {
    for (const absl::Time end = absl::Now() + kTimeout; absl::Now() < end;
         absl::SleepFor(absl::Milliseconds(1))) {
      if (condition()) return true;
    }
    return condition();
  }
  bool EventuallyServes(const std::string& versions) {
    return Eventually([&] { return fake_.Serving("pets") == versions; });
  }
  absl::Status Load(const std::string& model = "pets") { return Call(&ModelRepository::Load, model); }
  absl::Status Unload(const std::string& model = "pets") { return Call(&ModelRepository::Unload, model); }
  absl::Status Call(void (ModelRepository::*call)(const std::string&, ModelRepository::Done),
                    const std::string& model) {
    std::promise<absl::Status> done;
    (repository_.get()->*call)(model, [&done](absl::Status status) { done.set_value(std::move(status)); });
    return done.get_future().get();
  }

  const int own_priority_ = getpriority(PRIO_PROCESS, 0);
  FakeVersions fake_;
  RepositoryOptions options_;
  std::unique_ptr<ModelRepository> repository_;
};

// --- none ---

TEST_F(ModelRepositoryTest, WhatIsWantedIsReadyWhenTheStartReturns) {
  fake_.Write("pets", 2);
  fake_.Write("cars", 7);
  StartOrDie("none");
  EXPECT_EQ(fake_.Serving("pets"), "2a");
  EXPECT_EQ(fake_.Serving("cars"), "7a");
  EXPECT_EQ(State(2), "READY");
  EXPECT_EQ(State(1), "UNAVAILABLE");
  EXPECT_THAT(Version(1).reason, HasSubstr("not asked for (versions: latest: 1)"));
  EXPECT_THAT(fake_.load_priorities(), Each(own_priority_))
      << "nothing serves yet that loading could disturb";
}

TEST_F(ModelRepositoryTest, AVersionThatCannotBeLoadedStopsTheStart) {
  fake_.Write("pets", 2, "bad");
  fake_.Spoil("bad", "this is no model");
  const absl::Status status = Start("none");
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("model 'pets' version 2"), HasSubstr("this is no model")));
  EXPECT_EQ(fake_.Serving("pets"), "") << "no older one instead";
}

TEST_F(ModelRepositoryTest, AWantedVersionWithoutAFolderStopsTheStart) {
  fake_.Change("pets", [](ListedModel& model) { model.routing.labels["stable"] = 9; });
  EXPECT_THAT(std::string(Start("none").message()), HasSubstr("version 9: there is no folder 9"));
}

TEST_F(ModelRepositoryTest, AModelWithABrokenFileStopsTheStart) {
  fake_.Change("pets", [](ListedModel& m) { m.problem = absl::InvalidArgumentError("model.yaml:3: task"); });
  EXPECT_THAT(std::string(Start("none").message()), HasSubstr("model 'pets': model.yaml:3: task"));
}

TEST_F(ModelRepositoryTest, ADirectoryThatCannotBeReadStopsTheStart) {
  fake_.BreakDirectory("no such directory");
  for (const char* control : {"none", "poll", "explicit"}) {
    EXPECT_EQ(Start(control).code(), absl::StatusCode::kNotFound) << control;
  }
}

TEST_F(ModelRepositoryTest, LoadByCallIsRefusedUnlessTheControlIsExplicit) {
  StartOrDie("poll");
  EXPECT_EQ(Load().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(Unload()), "REPOSITORY_CONTROL");
}

// --- poll ---

TEST_F(ModelRepositoryTest, ANewVersionTakesTheOldOnesPlaceAtTheLowestPriority) {
  StartOrDie("poll");
  EXPECT_EQ(fake_.Serving("pets"), "1a");
  fake_.Write("pets", 2);
  ASSERT_TRUE(EventuallyServes("2a"));
  ASSERT_TRUE(Eventually([&] { return fake_.alive() == 1; }));
  EXPECT_THAT(fake_.load_priorities(), ElementsAre(own_priority_, 19));
  EXPECT_THAT(fake_.log(), AllOf(Contains("pets 2 LOADING"), Contains("pets 2 READY")));
}

TEST_F(ModelRepositoryTest, AVersionWhoseFilesGrowIsLoadedOnceTheyStayTheSame) {
  options_.poll_interval = absl::Milliseconds(20);
  StartOrDie("poll");
  for (int size = 0; size < 100; ++size) {
    fake_.Write("pets", 2, absl::StrCat("part", size));
    absl::SleepFor(absl::Milliseconds(2));
  }
  fake_.Write("pets", 2, "whole");
  ASSERT_TRUE(EventuallyServes("2whole"));
  EXPECT_THAT(fake_.load_priorities(), ElementsAre(own_priority_, 19)) << "the start's, and one";
}

TEST_F(ModelRepositoryTest, AVersionThatFailsLeavesTheOldOneServingAndSaysWhy) {
  StartOrDie("poll");
  fake_.Spoil("bad", "this is no model");
  fake_.Write("pets", 2, "bad");
  ASSERT_TRUE(Eventually([&] { return Version(2).reason == "this is no model"; }));
  EXPECT_EQ(State(2), "UNAVAILABLE");
  EXPECT_EQ(fake_.Serving("pets"), "1a");
  absl::SleepFor(10 * options_.poll_interval);
  EXPECT_EQ(fake_.load_priorities().size(), 2u) << "it is not tried again and again";
  fake_.Write("pets", 2, "mended");
  EXPECT_TRUE(EventuallyServes("2mended"));
  EXPECT_EQ(Version(2).reason, "");
}

TEST_F(ModelRepositoryTest, ARestartFallsBackToTheVersionBeforeOneThatFails) {
  fake_.Spoil("bad", "this is no model");
  fake_.Write("pets", 2, "bad");
  StartOrDie("poll");
  EXPECT_EQ(fake_.Serving("pets"), "1a");
  EXPECT_EQ(Version(2).reason, "this is no model");
}

TEST_F(ModelRepositoryTest, AChangedVersionIsLoadedAgainAndReplaced) {
  StartOrDie("poll");
  fake_.Write("pets", 1, "b");
  EXPECT_TRUE(EventuallyServes("1b"));
  fake_.Spoil("c", "damaged");
  fake_.Write("pets", 1, "c");
  ASSERT_TRUE(Eventually([&] { return Version(1).reason == "still as loaded before: damaged"; }));
  EXPECT_EQ(State(1), "READY");
  EXPECT_EQ(fake_.Serving("pets"), "1b");
  fake_.Write("pets", 1, "b");
  EXPECT_TRUE(Eventually([&] { return Version(1).reason.empty(); })) << "its files are as they were loaded";
  EXPECT_EQ(fake_.Serving("pets"), "1b");
}

TEST_F(ModelRepositoryTest, AFailureThatIsNotTheVersionsFaultIsTriedAgain) {
  StartOrDie("poll");
  fake_.TakeThreads(true);
  fake_.Write("pets", 2);
  ASSERT_TRUE(Eventually([&] { return Version(2).reason == "no threads"; }));
  EXPECT_EQ(fake_.Serving("pets"), "1a");
  fake_.TakeThreads(false);
  EXPECT_TRUE(EventuallyServes("2a"));
}

TEST_F(ModelRepositoryTest, AModelThatFailsAgainAndAgainDoesNotKeepOthersFromLoading) {
  StartOrDie("poll");
  fake_.SpoilForNow("slow", "the store is busy");
  fake_.Write("aardvarks", 1, "slow");
  ASSERT_TRUE(Eventually([&] { return fake_.load_priorities().size() > 2; })) << "it is tried again";
  fake_.Write("boats", 1);
  EXPECT_TRUE(Eventually([&] { return fake_.Serving("boats") == "1a"; }));
}

TEST_F(ModelRepositoryTest, AVersionWithoutItsFolderThatALabelKeepsSaysSo) {
  fake_.Change("pets", [](ListedModel& model) { model.routing.labels = {{"stable", 1}}; });
  StartOrDie("poll");
  fake_.Write("pets", 2);
  fake_.Remove("pets", 1);
  EXPECT_TRUE(
      Eventually([&] { return Version(1).reason == "still as loaded before: there is no folder 1"; }));
  EXPECT_EQ(State(1), "READY");
}

TEST_F(ModelRepositoryTest, ABrokenFileOfTheModelLeavesWhatServes) {
  StartOrDie("poll");
  fake_.Change("pets", [](ListedModel& model) {
    model.document = "broken";
    model.problem = absl::InvalidArgumentError("model.yaml:3: task");
    model.versions.clear();
  });
  ASSERT_TRUE(Eventually([&] { return Model().reason == "model.yaml:3: task"; }));
  EXPECT_EQ(fake_.log().back(), "look failed: model 'pets' stays as it is: model.yaml:3: task");
  EXPECT_EQ(fake_.Serving("pets"), "1a");
  EXPECT_EQ(State(1), "READY");
  fake_.Change("pets", [](ListedModel& model) {
    model.document = "mended";
    model.problem = absl::OkStatus();
    model.versions[3].fingerprint = "a";
  });
  EXPECT_TRUE(EventuallyServes("3a"));
  EXPECT_EQ(Model().reason, "");
}

TEST_F(ModelRepositoryTest, AModelWhoseDirectoryIsGoneIsWithdrawnAndForgotten) {
  fake_.Write("cars", 1);
  StartOrDie("poll");
  fake_.RemoveModel("pets");
  EXPECT_TRUE(EventuallyServes(""));
  EXPECT_TRUE(Eventually([&] { return Model().name.empty(); }));
  EXPECT_EQ(fake_.Serving("cars"), "1a");
}

TEST_F(ModelRepositoryTest, ADirectoryThatCannotBeReadForAWhileLeavesWhatServes) {
  StartOrDie("poll");
  fake_.BreakDirectory("stale file handle");
  ASSERT_TRUE(Eventually(
      [&] { return !fake_.log().empty() && fake_.log().back() == "look failed: stale file handle"; }));
  absl::SleepFor(10 * options_.poll_interval);
  EXPECT_EQ(fake_.Serving("pets"), "1a");
  EXPECT_EQ(fake_.log().back(), "look failed: stale file handle");
  fake_.BreakDirectory("");
  fake_.Write("pets", 2);
  EXPECT_TRUE(EventuallyServes("2a"));
}

TEST_F(ModelRepositoryTest, ARetiredVersionIsDestroyedAfterItsLastRequest) {
  StartOrDie("poll");
  fake_.SetBusy(1, true);
  fake_.Write("pets", 2);
  ASSERT_TRUE(EventuallyServes("2a"));
  ASSERT_TRUE(Eventually([&] { return State(1) == "UNLOADING"; }));
  absl::SleepFor(absl::Milliseconds(60));
  EXPECT_EQ(fake_.alive(), 2);
  fake_.SetBusy(1, false);
  EXPECT_TRUE(Eventually([&] { return fake_.alive() == 1; }));
  EXPECT_TRUE(Eventually([&] { return State(1) == "UNAVAILABLE"; }));
}

TEST_F(ModelRepositoryTest, LabelsMoveWhenTheirVersionIsReadyAndTheOldOneGoesAfter) {
  fake_.Change("pets", [](ListedModel& model) { model.routing.labels = {{"stable", 1}}; });
  StartOrDie("poll");
  EXPECT_THAT(fake_.Labels("pets"), ElementsAre(Pair("stable", 1)));
  EXPECT_THAT(Version(1).labels, ElementsAre("stable"));
  fake_.HoldLoads(true);
  fake_.Write("pets", 2);
  fake_.Change("pets", [](ListedModel& model) {
    model.document = "stable: 2";
    model.routing.labels = {{"stable", 2}};
  });
  ASSERT_TRUE(Eventually([&] { return State(2) == "LOADING"; }));
  EXPECT_THAT(fake_.Labels("pets"), ElementsAre(Pair("stable", 1)));
  fake_.HoldLoads(false);
  ASSERT_TRUE(EventuallyServes("2a"));
  EXPECT_THAT(fake_.Labels("pets"), ElementsAre(Pair("stable", 2)));
}

// --- explicit ---

TEST_F(ModelRepositoryTest, NothingIsLoadedAtStartButWhatIsNamed) {
  fake_.Write("cars", 1);
  options_.load = {"cars"};
  StartOrDie("explicit");
  EXPECT_EQ(fake_.Serving("pets"), "");
  EXPECT_EQ(fake_.Serving("cars"), "1a");
  EXPECT_EQ(State(1), "UNAVAILABLE");
  EXPECT_EQ(Version(1).reason, "not loaded");
}

TEST_F(ModelRepositoryTest, AnUnknownNameStopsTheStart) {
  options_.load = {"boats"};
  EXPECT_THAT(std::string(Start("explicit").message()), HasSubstr("'boats'"));
}

TEST_F(ModelRepositoryTest, AModelIsLoadedAndUnloadedByCall) {
  StartOrDie("explicit");
  EXPECT_TRUE(Load().ok());
  EXPECT_EQ(fake_.Serving("pets"), "1a");
  EXPECT_EQ(State(1), "READY");
  fake_.Write("pets", 2);
  absl::SleepFor(10 * options_.poll_interval);
  EXPECT_EQ(fake_.Serving("pets"), "1a") << "files alone change nothing";
  EXPECT_TRUE(Load().ok());
  EXPECT_EQ(fake_.Serving("pets"), "2a");
  EXPECT_TRUE(Version(2).wanted);
  EXPECT_FALSE(Version(1).wanted);
  EXPECT_TRUE(Unload().ok());
  EXPECT_EQ(fake_.Serving("pets"), "");
  EXPECT_TRUE(Eventually([&] { return fake_.alive() == 0 && State(2) == "UNAVAILABLE"; }));
  EXPECT_FALSE(Version(2).wanted);
  EXPECT_TRUE(Unload().ok()) << "it is not loaded already";
  EXPECT_EQ(Load("boats").code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Load("boats").message()), HasSubstr("pets"));
  EXPECT_EQ(Unload("boats").code(), absl::StatusCode::kNotFound);
}

TEST_F(ModelRepositoryTest, ALoadByCallTakesInWhatChangesMeanwhile) {
  StartOrDie("explicit");
  fake_.HoldLoads(true);
  std::future<absl::Status> load = std::async(std::launch::async, [this] { return Load(); });
  ASSERT_TRUE(Eventually([&] { return State(1) == "LOADING"; }));
  fake_.Write("pets", 1, "b");
  fake_.HoldLoads(false);
  EXPECT_TRUE(load.get().ok());
  EXPECT_EQ(fake_.Serving("pets"), "1b");
}

TEST_F(ModelRepositoryTest, SettingsOfALoadedModelHoldFromItsNextLoadByCall) {
  std::atomic<int> adopted = 0;
  fake_.Change("pets", [&](ListedModel& model) { model.adopt = [&adopted] { ++adopted; }; });
  fake_.Write("boats", 1);
  StartOrDie("explicit");
  EXPECT_TRUE(Load().ok());
  const int before = adopted;
  EXPECT_GT(before, 0);
  EXPECT_TRUE(Load("boats").ok());
  EXPECT_EQ(adopted, before);
  EXPECT_TRUE(Load().ok());
  EXPECT_GT(adopted, before);
}

TEST_F(ModelRepositoryTest, WhatIsWithdrawnIsSaid) {
  StartOrDie("poll");
  fake_.Write("pets", 2);
  ASSERT_TRUE(Eventually([&] { return fake_.Serving("pets") == "2a"; }));
  EXPECT_TRUE(Eventually([&] { return fake_.alive() == 1; }));
  EXPECT_THAT(fake_.log(), Contains("pets 1 UNLOADING"));
}

TEST_F(ModelRepositoryTest, WhatIsWithdrawnForALoadIsSaidToo) {
  const auto want = [this](const std::vector<int64_t>& versions, const std::string& files) {
    fake_.Change("pets", [&](ListedModel& model) {
      model.policy = {.kind = VersionPolicy::Kind::kListed, .listed = versions};
      model.versions[2].fingerprint = files;
    });
  };
  want({1, 2}, "a");
  StartOrDie("poll");
  ASSERT_TRUE(Eventually([&] { return fake_.Serving("pets") == "1a 2a"; }));
  want({2}, "b");
  ASSERT_TRUE(Eventually([&] { return fake_.Serving("pets") == "2b" && fake_.alive() == 1; }));
  EXPECT_THAT(fake_.log(), Contains("pets 1 UNLOADING"));
}

TEST_F(ModelRepositoryTest, ALoadOfSeveralVersionsLetsGoOfTheOldOnesOneByOne) {
  const auto want = [this](const std::vector<int64_t>& versions) {
    fake_.Change("pets", [&](ListedModel& model) {
      model.policy = {.kind = VersionPolicy::Kind::kListed, .listed = versions};
    });
  };
  for (int64_t version = 2; version <= 6; ++version) fake_.Write("pets", version);
  StartOrDie("explicit");
  want({1, 2, 3});
  ASSERT_TRUE(Load().ok());
  want({4, 5, 6});
  ASSERT_TRUE(Load().ok());
  EXPECT_EQ(fake_.Serving("pets"), "4a 5a 6a");
  EXPECT_LE(fake_.most_alive(), 4) << "on a device with room for one more, the others would fail";
}

TEST_F(ModelRepositoryTest, ALoadThatFailsSaysWhyAndIsTriedAgainWhenAsked) {
  fake_.Spoil("bad", "this is no model");
  StartOrDie("explicit");
  ASSERT_TRUE(Load().ok());
  fake_.Write("pets", 2, "bad");
  const absl::Status failed = Load();
  EXPECT_EQ(failed.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(failed.message()), AllOf(HasSubstr("version 2"), HasSubstr("this is no model")));
  EXPECT_EQ(fake_.Serving("pets"), "1a");
  const size_t loads = fake_.load_priorities().size();
  EXPECT_FALSE(Load().ok());
  EXPECT_EQ(fake_.load_priorities().size(), loads + 1);
}

TEST_F(ModelRepositoryTest, CallsThatWaitAreAnsweredAtShutdown) {
  fake_.Change("pets", [](ListedModel& model) { model.policy.kind = VersionPolicy::Kind::kAll; });
  fake_.Write("pets", 2);
  StartOrDie("explicit");
  fake_.HoldLoads(true);
  std::promise<absl::Status> first, second, late;
  repository_->Load("pets", [&](absl::Status status) { first.set_value(std::move(status)); });
  ASSERT_TRUE(Eventually([&] { return State(2) == "LOADING"; }));
  repository_->Load("pets", [&](absl::Status status) { second.set_value(std::move(status)); });
  repository_->StopLoading();
  EXPECT_EQ(first.get_future().get().code(), absl::StatusCode::kUnavailable) << "its load is still held";
  EXPECT_EQ(second.get_future().get().code(), absl::StatusCode::kUnavailable);
  std::jthread stopping([&] { EXPECT_TRUE(repository_->Stop(kTimeout)); });
  fake_.HoldLoads(false);
  stopping.join();
  EXPECT_EQ(fake_.load_priorities().size(), 1u) << "no other load begins";
  EXPECT_EQ(fake_.stopped(), 1);
  repository_->Load("pets", [&](absl::Status status) { late.set_value(std::move(status)); });
  EXPECT_EQ(late.get_future().get().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ModelRepositoryTest, AStopDoesNotWaitForALoadLongerThanItIsTold) {
  StartOrDie("poll");
  fake_.HoldLoads(true);
  fake_.Write("pets", 2);
  ASSERT_TRUE(Eventually([&] { return State(2) == "LOADING"; }));
  EXPECT_FALSE(repository_->Stop(absl::Milliseconds(10)));
  EXPECT_EQ(State(2), "LOADING") << "who stops can say what it was";
  EXPECT_EQ(fake_.stopped(), 0);
  fake_.HoldLoads(false);
  EXPECT_TRUE(repository_->Stop(kTimeout));
  EXPECT_GE(fake_.stopped(), 1);
}

TEST_F(ModelRepositoryTest, AStopDuringTheStartBeginsNoOtherLoad) {
  fake_.Write("cars", 7);
  fake_.HoldLoads(true);
  std::promise<absl::Status> started;
  options_.control = "none";
  repository_ = ModelRepository::Start(
      options_, fake_.Hooks(), [&started](absl::Status status) { started.set_value(std::move(status)); });
  ASSERT_TRUE(Eventually([&] { return fake_.load_priorities().size() == 1; }));
  repository_->StopLoading();
  fake_.HoldLoads(false);
  EXPECT_TRUE(repository_->Stop(kTimeout));
  EXPECT_EQ(fake_.load_priorities().size(), 1u);
  EXPECT_FALSE(started.get_future().get().ok()) << "not all that is wanted is loaded";
}

}  // namespace
}  // namespace calserve
