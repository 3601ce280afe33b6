#include "server/prediction/not_ready.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/error_info.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class NotReadyTest : public ::testing::Test {
 protected:
  absl::Status Why(const VersionChoice& choice, const std::string& name = "pets") {
    return WhyNotReady(models_, name, choice, loaded_by_call_);
  }
  std::string Text(const VersionChoice& choice) { return std::string(Why(choice).message()); }

  std::vector<ModelStatus> models_ = {
      {.name = "pets",
       .versions = {{.version = 6, .reason = "no model file", .failed = true, .wanted = true},
                    {.version = 5, .state = VersionState::kLoading},
                    {.version = 4, .state = VersionState::kUnloading},
                    {.version = 3, .reason = "waits to be loaded", .wanted = true},
                    {.version = 2, .reason = "not asked for (versions: latest: 1)"},
                    {.version = 1, .state = VersionState::kReady}},
       .labels = {{"canary", 5}, {"stable", 1}}}};
  bool loaded_by_call_ = true;
};

TEST_F(NotReadyTest, WhatIsOnItsWayIsToBeAskedAgain) {
  EXPECT_THAT(Text({5, {}, {}}), HasSubstr("model 'pets' version 5 is not at ready state: LOADING; retry"));
  EXPECT_THAT(Text({3, {}, {}}), HasSubstr("version 3 is not at ready state: waits to be loaded; retry"));
  for (const int64_t version : {5, 3, 1}) {
    const absl::Status why = Why({version, {}, {}});
    EXPECT_EQ(why.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(ErrorReason(why), "MODEL_NOT_READY");
    EXPECT_EQ(ErrorRetryAfter(why), absl::Seconds(1)) << version;
  }
}

TEST_F(NotReadyTest, WhatFailedSaysWhyAndWhatToDo) {
  EXPECT_THAT(Text({6, {}, {}}),
              AllOf(HasSubstr("is not at ready state: FAILED: no model file"), HasSubstr("mend")));
  for (const int64_t version : {6, 4}) {
    EXPECT_EQ(ErrorRetryAfter(Why({version, {}, {}})), absl::InfiniteDuration()) << "no retry mends it";
  }
  EXPECT_THAT(Text({4, {}, {}}), HasSubstr("is not at ready state: UNLOADING"));
  models_ = {{.name = "pets", .reason = "model.yaml:3: task"}};
  EXPECT_THAT(Text({}), HasSubstr("model 'pets' is not at ready state: FAILED: model.yaml:3: task"));
}

TEST_F(NotReadyTest, ALabelStandsForItsVersion) {
  EXPECT_THAT(Text({0, "canary", {}}), HasSubstr("version 5 is not at ready state: LOADING"));
  EXPECT_TRUE(Why({0, "stable", {}}).ok()) << "it only has its label since this moment";
  EXPECT_TRUE(Why({0, "next", {}}).ok());
}

TEST_F(NotReadyTest, WhereNoVersionIsNamedOneThatIsOnItsWayCounts) {
  models_[0].versions.pop_back();
  EXPECT_THAT(Text({}), HasSubstr("version 5 is not at ready state: LOADING"))
      << "not the newest, which failed";
  models_[0].versions.resize(1);
  EXPECT_THAT(Text({}), HasSubstr("version 6 is not at ready state: FAILED"));
}

TEST_F(NotReadyTest, AModelThatIsNotLoadedSaysWhichCallLoadsIt) {
  models_ = {{.name = "pets",
              .versions = {{.version = 2, .reason = "no model file", .failed = true},
                           {.version = 1, .reason = "not loaded"}},
              .labels = {{"stable", 1}}}};
  for (const VersionChoice& choice : {VersionChoice{}, {1, {}, {}}, {7, {}, {}}, {0, "stable", {}}}) {
    const absl::Status why = Why(choice);
    EXPECT_EQ(why.code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(ErrorReason(why), "MODEL_NOT_FOUND");
    EXPECT_EQ(ErrorField(why), "model");
    EXPECT_THAT(why.message(), AllOf(HasSubstr("unknown model 'pets'"), HasSubstr("but not loaded"),
                                     HasSubstr("RepositoryModelLoad")));
  }
  models_[0].versions[1].state = VersionState::kUnloading;
  EXPECT_THAT(Text({}), HasSubstr("version 1 is not at ready state: UNLOADING"));
  loaded_by_call_ = false;
  EXPECT_TRUE(Why({2, {}, {}}).ok()) << "no call loads it";
}

TEST_F(NotReadyTest, WhatIsNotKnownOrNotWantedIsNotFound) {
  EXPECT_TRUE(Why({7, {}, {}}).ok());
  EXPECT_TRUE(Why({2, {}, {}}).ok());
  models_[0].versions[0].wanted = false;
  EXPECT_TRUE(Why({6, {}, {}}).ok()) << "that it is faulty, too, does not matter";
  EXPECT_TRUE(Why({}, "boats").ok());
  EXPECT_TRUE(IsKnown(models_, "pets", 0) && IsKnown(models_, "pets", 2));
  EXPECT_FALSE(IsKnown(models_, "pets", 7) || IsKnown(models_, "boats", 0));
}

}  // namespace
}  // namespace calserve
