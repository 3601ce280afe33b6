// Models that are loaded and unloaded by call.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "server/base/error_info.h"
#include "tests/unit/model/model_repository_fixture.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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

}  // namespace
}  // namespace calserve
