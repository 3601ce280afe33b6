#include "server/model/repository_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr char kA[] = "files a", kB[] = "files b";

ListedModel Latest(int count, const std::map<int64_t, std::string>& versions) {
  ListedModel model;
  model.policy.latest = count;
  for (const auto& [version, fingerprint] : versions) model.versions[version] = {fingerprint, {}, true};
  return model;
}
ListedModel Listed(std::vector<int64_t> wanted, const std::map<int64_t, std::string>& versions) {
  ListedModel model = Latest(1, versions);
  model.policy = {VersionPolicy::Kind::kListed, 1, std::move(wanted)};
  return model;
}
HeldVersions Ready(const std::map<int64_t, std::string>& versions) { return {versions, {}, {}}; }

TEST(RepositoryPlanTest, TheNewestVersionIsLoadedFirst) {
  EXPECT_THAT(PlanModel(Latest(2, {{1, kA}, {2, kA}, {3, kA}}), {}).load, ElementsAre(3, 2));
  EXPECT_THAT(PlanModel(Latest(1, {{1, kA}, {2, kA}, {3, kA}}), {}).load, ElementsAre(3));
}

TEST(RepositoryPlanTest, OldVersionsDoNotPileUpWhileOneNeverGetsReady) {
  ListedModel model = Latest(1, {{4, kA}, {5, kA}, {6, kA}, {7, kA}});
  model.routing.labels["canary"] = 9;
  const ModelPlan plan = PlanModel(model, Ready({{4, kA}, {5, kA}, {6, kA}, {7, kA}}));
  EXPECT_THAT(plan.retire, ElementsAre(4, 5));
}

TEST(RepositoryPlanTest, NothingIsDoneWhereWhatIsWantedIsReady) {
  const ModelPlan plan = PlanModel(Latest(1, {{1, kA}, {2, kA}}), Ready({{2, kA}}));
  EXPECT_THAT(plan.load, IsEmpty());
  EXPECT_THAT(plan.retire, IsEmpty());
}

TEST(RepositoryPlanTest, AnOldVersionGoesWhenTheNewOneIsReadyAndNotBefore) {
  const ListedModel listed = Latest(1, {{3, kA}, {4, kA}});
  const ModelPlan before = PlanModel(listed, Ready({{3, kA}}));
  EXPECT_THAT(before.load, ElementsAre(4));
  EXPECT_THAT(before.retire, IsEmpty());
  const ModelPlan after = PlanModel(listed, Ready({{3, kA}, {4, kA}}));
  EXPECT_THAT(after.load, IsEmpty());
  EXPECT_THAT(after.retire, ElementsAre(3));
}

TEST(RepositoryPlanTest, AChangedVersionIsLoadedAgainAfterThoseThatAreMissing) {
  const ModelPlan plan = PlanModel(Latest(2, {{3, kB}, {4, kA}}), Ready({{3, kA}}));
  EXPECT_THAT(plan.load, ElementsAre(4, 3));
  EXPECT_THAT(plan.retire, IsEmpty());
}

TEST(RepositoryPlanTest, AFailedVersionIsTriedAgainOnlyWhenItChanged) {
  HeldVersions held = Ready({{3, kA}});
  held.failed[4] = {kA, "broken"};
  const ModelPlan same = PlanModel(Latest(1, {{3, kA}, {4, kA}}), held);
  EXPECT_THAT(same.load, IsEmpty());
  EXPECT_THAT(same.retire, IsEmpty()) << "the old one goes on serving";
  EXPECT_THAT(PlanModel(Latest(1, {{3, kA}, {4, kB}}), held).load, ElementsAre(4));
}

TEST(RepositoryPlanTest, WithLatestTheVersionBeforeStandsInForOneThatFailed) {
  HeldVersions held;
  held.failed[4] = {kA, "broken"};
  EXPECT_THAT(PlanModel(Latest(1, {{2, kA}, {3, kA}, {4, kA}}), held).load, ElementsAre(3));
  EXPECT_THAT(PlanModel(Listed({4}, {{3, kA}, {4, kA}}), held).load, IsEmpty());
  ListedModel unusable = Latest(1, {{3, kA}, {4, kA}});
  unusable.versions[4].problem = absl::NotFoundError("no model file");
  EXPECT_THAT(PlanModel(unusable, {}).load, ElementsAre(3));
}

TEST(RepositoryPlanTest, AFailedReloadKeepsWhatWasLoaded) {
  HeldVersions held = Ready({{4, kA}});
  held.failed[4] = {kB, "broken"};
  const ModelPlan plan = PlanModel(Latest(1, {{3, kA}, {4, kB}}), held);
  EXPECT_THAT(plan.retire, IsEmpty());
  EXPECT_THAT(plan.load, IsEmpty()) << "it needs no stand-in";
}

TEST(RepositoryPlanTest, AnOlderVersionThatIsWantedInsteadIsReadyFirst) {
  const ListedModel listed = Listed({3}, {{3, kA}, {5, kA}});
  EXPECT_THAT(PlanModel(listed, Ready({{5, kA}})).retire, IsEmpty());
  EXPECT_THAT(PlanModel(listed, Ready({{3, kA}, {5, kA}})).retire, ElementsAre(5));
}

TEST(RepositoryPlanTest, AVersionWhoseFolderIsGoneRetiresThoughAnOlderOneFails) {
  ListedModel listed = Latest(1, {{1, kA}, {3, kA}});
  listed.policy.kind = VersionPolicy::Kind::kAll;
  HeldVersions held = Ready({{2, kA}, {3, kA}});
  held.failed[1] = {kA, "broken"};
  EXPECT_THAT(PlanModel(listed, held).retire, ElementsAre(2));
}

TEST(RepositoryPlanTest, AVersionThatIsNotSettledIsNotLoadedAndKeepsTheOldOne) {
  ListedModel listed = Latest(1, {{3, kA}, {4, kA}});
  listed.versions[4].settled = false;
  const ModelPlan plan = PlanModel(listed, Ready({{3, kA}}));
  EXPECT_THAT(plan.load, IsEmpty());
  EXPECT_THAT(plan.retire, IsEmpty());
}

TEST(RepositoryPlanTest, ALabelMovesWhenItsVersionIsReady) {
  ListedModel listed = Latest(1, {{3, kA}, {4, kA}});
  listed.routing = {{{"stable", 4}, {"next", 4}}, {{"stable", 1}}};
  HeldVersions held = Ready({{3, kA}});
  held.labels = {{"stable", 3}};
  const ModelPlan before = PlanModel(listed, held);
  EXPECT_THAT(before.routing.labels, ElementsAre(Pair("stable", 3)));
  EXPECT_EQ(before.routing.traffic.size(), 1u);
  held.ready[4] = kA;
  const ModelPlan after = PlanModel(listed, held);
  EXPECT_THAT(after.routing.labels, ElementsAre(Pair("next", 4), Pair("stable", 4)));
  EXPECT_THAT(after.retire, ElementsAre(3));
}

TEST(RepositoryPlanTest, AVersionThatALabelWaitsOnIsKept) {
  // stable goes back from 3 to 2, which fails; 4 is the newest and ready.
  ListedModel listed = Latest(1, {{2, kA}, {3, kA}, {4, kA}});
  listed.routing.labels = {{"stable", 2}};
  HeldVersions held = Ready({{3, kA}, {4, kA}});
  held.labels = {{"stable", 3}};
  held.failed[2] = {kA, "broken"};
  const ModelPlan plan = PlanModel(listed, held);
  EXPECT_THAT(plan.routing.labels, ElementsAre(Pair("stable", 3)));
  EXPECT_THAT(plan.retire, IsEmpty());
  held.labels.clear();
  EXPECT_THAT(PlanModel(listed, held).retire, ElementsAre(3));
}

Listing Repository(const std::string& document, const std::map<int64_t, std::string>& versions) {
  ListedModel model = Latest(1, versions);
  model.document = document;
  return {{"pets", model}};
}

TEST(SettleTest, WhatTwoLooksAgreeOnIsSettled) {
  const Listing same = Settle(Repository("yaml", {{1, kA}}), Repository("yaml", {{1, kA}}));
  EXPECT_TRUE(same.at("pets").settled);
  EXPECT_TRUE(same.at("pets").versions.at(1).settled);
}

TEST(SettleTest, AVersionWhoseFilesGrowWaitsAlone) {
  const Listing growing =
      Settle(Repository("yaml", {{1, kA}, {2, kA}}), Repository("yaml", {{1, kA}, {2, kB}}));
  EXPECT_TRUE(growing.at("pets").settled);
  EXPECT_TRUE(growing.at("pets").versions.at(1).settled);
  EXPECT_FALSE(growing.at("pets").versions.at(2).settled);
}

TEST(SettleTest, AModelThatChangesWaitsAsAWhole) {
  EXPECT_FALSE(Settle({}, Repository("yaml", {{1, kA}})).at("pets").settled);
  EXPECT_FALSE(Settle(Repository("yaml", {{1, kA}}), Repository("yam", {{1, kA}})).at("pets").settled);
  EXPECT_FALSE(
      Settle(Repository("yaml", {{1, kA}}), Repository("yaml", {{1, kA}, {2, kA}})).at("pets").settled);
  EXPECT_FALSE(
      Settle(Repository("yaml", {{1, kA}, {2, kA}}), Repository("yaml", {{1, kA}})).at("pets").settled);
}

TEST(SettleTest, AModelThatIsGoneStaysForOneLook) {
  const Listing gone = Settle(Repository("yaml", {{1, kA}}), {});
  ASSERT_EQ(gone.count("pets"), 1u);
  EXPECT_FALSE(gone.at("pets").settled);
  EXPECT_THAT(Settle({}, {}), IsEmpty());
}

}  // namespace
}  // namespace calserve
