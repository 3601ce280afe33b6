#include "server/rpc/kserve_repository.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/rpc/kserve_fixtures.h"

namespace calserve::kserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FakeRepository final : public ModelRepository {
 public:
  std::vector<ModelStatus> List() const override {
    return {{.name = "b",
             .versions = {{.version = 2, .state = VersionState::kLoading},
                          {.version = 1, .state = VersionState::kReady}}},
            {.name = "a",
             .reason = "labels.txt has 2 lines",
             .versions = {{.version = 3, .state = VersionState::kUnavailable}}},
            {.name = "c", .reason = "no version"}};
  }
  bool takes_calls() const override { return true; }
  void StopLoading() override {}
  bool Stop(absl::Duration) override { return true; }
  void Load(const std::string& model, Done done) override {
    calls.push_back("load " + model);
    std::move(done)(absl::OkStatus());
  }
  void Unload(const std::string& model, Done done) override {
    calls.push_back("unload " + model);
    std::move(done)(absl::NotFoundError("no"));
  }
  std::vector<std::string> calls;
};

class KserveRepositoryTest : public ::testing::Test {
 protected:
  // "name version state reason" of each.
  std::vector<std::string> List(const ModelRepository* repository, bool ready = false) {
    inference::RepositoryIndexRequest request;
    request.set_ready(ready);
    inference::RepositoryIndexResponse response;
    EXPECT_TRUE(ListRepository(request, table_, repository, response).ok());
    std::vector<std::string> lines;
    for (const auto& model : response.models()) {
      lines.push_back(model.name() + " " + model.version() + " " + model.state() + " " + model.reason());
    }
    return lines;
  }
  absl::Status Load(ModelRepository* repository) {
    absl::Status status = absl::UnknownError("not answered");
    LoadModel(load_, repository, [&](absl::Status told) { status = told; });
    return status;
  }
  absl::Status Unload(ModelRepository* repository) {
    absl::Status status = absl::UnknownError("not answered");
    UnloadModel(unload_, repository, [&](absl::Status told) { status = told; });
    return status;
  }

  ServingTable table_;
  FakeRepository repository_;
  inference::RepositoryModelLoadRequest load_;
  inference::RepositoryModelUnloadRequest unload_;
};

TEST_F(KserveRepositoryTest, TheIndexIsInOrderWithStatesAndReasons) {
  EXPECT_THAT(List(&repository_), ElementsAre("a 3 UNAVAILABLE labels.txt has 2 lines", "b 1 READY ",
                                              "b 2 LOADING ", "c  UNAVAILABLE no version"));
  EXPECT_THAT(List(&repository_, /*ready=*/true), ElementsAre("b 1 READY "));
}

TEST_F(KserveRepositoryTest, WithoutAControlTheIndexIsWhatIsServed) {
  table_.Publish(TensorModel(),
                 std::make_shared<ServedCalibrator>(ServedCalibrator{Calibrator::None(3), 0, ""}));
  EXPECT_THAT(List(nullptr), ElementsAre("m 3 READY "));
}

TEST_F(KserveRepositoryTest, LoadAndUnloadReachTheRepositoryAndTellItsAnswer) {
  load_.set_model_name("a");
  EXPECT_TRUE(Load(&repository_).ok());
  unload_.set_model_name("b");
  (*unload_.mutable_parameters())["unload_dependents"].set_bool_param(true);
  EXPECT_TRUE(absl::IsNotFound(Unload(&repository_)));
  EXPECT_THAT(repository_.calls, ElementsAre("load a", "unload b"));
}

TEST_F(KserveRepositoryTest, WithoutAControlLoadAndUnloadNameTheOption) {
  for (const absl::Status& status : {Load(nullptr), Unload(nullptr)}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--repository-control explicit"));
  }
}

// Triton lets a client send a configuration, and files, with the call: code, from whoever may call.
TEST_F(KserveRepositoryTest, NothingIsLoadedFromTheRequest) {
  (*load_.mutable_parameters())["file:1/model.pt"].set_bytes_param("code");
  EXPECT_TRUE(absl::IsInvalidArgument(Load(&repository_)));
  EXPECT_THAT(repository_.calls, ElementsAre());
}

TEST_F(KserveRepositoryTest, ARepositoryNameIsUnimplemented) {
  load_.set_repository_name("r");
  unload_.set_repository_name("r");
  EXPECT_TRUE(absl::IsUnimplemented(Load(&repository_)));
  EXPECT_TRUE(absl::IsUnimplemented(Unload(&repository_)));
  inference::RepositoryIndexRequest request;
  request.set_repository_name("r");
  inference::RepositoryIndexResponse response;
  EXPECT_TRUE(absl::IsUnimplemented(ListRepository(request, table_, &repository_, response)));
}

}  // namespace
}  // namespace calserve::kserve
