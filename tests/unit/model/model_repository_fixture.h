#ifndef CALSERVE_TESTS_UNIT_MODEL_MODEL_REPOSITORY_FIXTURE_H_
#define CALSERVE_TESTS_UNIT_MODEL_MODEL_REPOSITORY_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "server/model/model_repository.h"
#include "tests/unit/model/fake_versions.h"

namespace calserve {

inline constexpr absl::Duration kTimeout = absl::Seconds(20);

// A repository over a directory and versions that are not there; it has version 1 of "pets".
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

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_MODEL_MODEL_REPOSITORY_FIXTURE_H_
