#include "client/cli/model_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/session.h"

namespace calserve::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using State = client::ModelVersionInfo::State;

client::ModelInfo ModelOf(const std::string& name, std::vector<std::pair<State, std::string>> versions,
                          const std::string& reason = "") {
  client::ModelInfo model;
  model.name = name;
  model.reason = reason;
  for (const auto& [state, why] : versions) {
    client::ModelVersionInfo version;
    version.version = static_cast<int64_t>(versions.size() - model.versions.size());
    version.state = state;
    version.reason = why;
    model.versions.push_back(version);
  }
  return model;
}

const client::ModelInfo kReady = ModelOf("ready", {{State::kFailed, "bad file"}, {State::kReady, ""}});
const client::ModelInfo kUnloaded = ModelOf("unloaded", {{State::kUnavailable, "not asked for"}});
const client::ModelInfo kBroken = ModelOf("broken", {}, "model.yaml:3: no such key");

TEST(ModelChoiceTest, OneIsChosenThoughOthersAreNotReady) {
  const auto chosen = OnlyReadyModel({kBroken, kReady, kUnloaded}, "host:1");
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_EQ(chosen->name, "ready");
}

TEST(ModelChoiceTest, OfSeveralOneMustBeNamed) {
  client::ModelInfo other = kReady;
  other.name = "other";
  const absl::Status status = OnlyReadyModel({kReady, kUnloaded, other}, "host:1").status();
  EXPECT_EQ(ExitCodeOf(status), kUsage);
  EXPECT_EQ(status.message(), "--model is needed, the server has several: ready, other");
}

TEST(ModelChoiceTest, WhereNoneIsReadyTheReasonsAreSaid) {
  const absl::Status status = OnlyReadyModel({kUnloaded, kBroken}, "host:1").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(
      status.message(),
      "no model of host:1 is ready: unloaded/1 UNAVAILABLE: not asked for; broken: model.yaml:3: no such "
      "key");
  EXPECT_THAT(OnlyReadyModel({}, "host:1").status().message(), HasSubstr("host:1 serves no model"));
}

TEST(ModelChoiceTest, AReadyVersionMayHaveAReasonToo) {
  EXPECT_THAT(WhyNotReady(kReady), ElementsAre("ready/2 FAILED: bad file"));
  EXPECT_THAT(WhyNotReady(ModelOf("m", {{State::kReady, "still as loaded before"}})),
              ElementsAre("m/1 READY: still as loaded before"));
  EXPECT_THAT(WhyNotReady(ModelOf("m", {{State::kReady, ""}})), IsEmpty());
}

}  // namespace
}  // namespace calserve::cli
