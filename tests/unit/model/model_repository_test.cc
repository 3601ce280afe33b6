#include "server/model/model_repository.h"

#include <gmock/gmock.h>

#include <functional>
#include <future>
#include <thread>

#include "server/base/error_info.h"
#include "tests/unit/model/model_repository_fixture.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

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

TEST_F(ModelRepositoryTest, AStopEndsALoadThatCanBeGivenUp) {
  StartOrDie("poll");
  fake_.HoldLoadsUntilStopped();
  fake_.Write("pets", 2);
  ASSERT_TRUE(Eventually([&] { return State(2) == "LOADING"; }));
  EXPECT_TRUE(repository_->Stop(kTimeout));
  EXPECT_FALSE(Version(2).failed) << Version(2).reason;
  EXPECT_THAT(fake_.log(), Not(Contains(HasSubstr("given up"))));
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
