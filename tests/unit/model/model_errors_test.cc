#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/device_memory.h"
#include "server/model/model.h"
#include "server/model/torch_device.h"
#include "tests/unit/model/model_fixtures.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

absl::Status StatusOf(const ModelOptions& options) { return LoadModel(options).status(); }

std::string FileOf(const std::string& name, const std::string& content) {
  const std::string path = ::testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

bool HasGpu() { return ResolveDevice("cuda").ok(); }

TEST(LoadModelTest, AMissingFileIsNotFound) {
  const absl::Status status = StatusOf(OptionsFor("/nonexistent/1/model.pt"));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nonexistent/1/model.pt"));
}

TEST(LoadModelTest, ATextFileIsNoModel) {
  for (const char* name : {"text.pt", "text.pt2"}) {
    const std::string path = FileOf(name, "not a model\n");
    const absl::Status status = StatusOf(OptionsFor(path));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path + " is not"), Not(HasSubstr("\n"))))
        << status;
  }
}

TEST(LoadModelTest, EachFormatRefusesTheOther) {
  const auto read = [](const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  EXPECT_EQ(StatusOf(OptionsFor(FileOf("package.pt", read(DemoPackage())))).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(StatusOf(OptionsFor(FileOf("script.pt2", read(DemoTorchScript())))).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(DeviceMemoryTest, ADeviceThatIsNotThereHasNone) {
  for (const char* device : {"cpu", "cuda:99", "xpu:0", "test:0", ""}) {
    EXPECT_FALSE(DeviceMemoryOf(device).has_value()) << device;
  }
}

TEST(LoadModelTest, TheNameSaysTheFormat) {
  const absl::Status status = StatusOf(OptionsFor(FileOf("model.onnx", "")));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("model.onnx"));
}

TEST(LoadModelTest, TheLabelsMustMatchTheLogits) {
  for (const std::string& path : {DemoTorchScript(), DemoPackage()}) {
    const absl::Status status = StatusOf(OptionsFor(path, /*classes=*/7));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("[1, 7]"), HasSubstr("7 labels"), HasSubstr("it gave [1, 10]")));
  }
}

TEST(LoadModelTest, OneLogitIsOnlyForTwoClasses) {
  const absl::Status status = StatusOf(OptionsFor(ModelFixture("torchscript/binary_one_logit.pt"), 3));
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("[1, 3]"), HasSubstr("it gave [1, 1]")));
}

TEST(LoadModelTest, TheLogitsMustBeAMatrix) {
  const absl::Status status = StatusOf(OptionsFor(ModelFixture("torchscript/wrong_rank.pt")));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("[1, 10]"), HasSubstr("it gave [1, 10, 1]")));
}

TEST(LoadModelTest, TheInputMustSuitTheModel) {
  ModelOptions options = OptionsFor(DemoTorchScript());
  options.input_shape = {3, 28, 28};
  const absl::Status status = StatusOf(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("[1, 3, 28, 28]"), Not(HasSubstr("\n"))))
      << status;
}

TEST(LoadModelTest, APackageForAnotherInstructionSetIsRefusedWithBothNamed) {
  const absl::Status status = StatusOf(OptionsFor(ModelFixture("wrong_isa.pt2")));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("instruction set ASIMD"), HasSubstr("x86_64 with")));
}

TEST(LoadModelTest, APackageForAnotherDeviceIsRefusedWithBothNamed) {
  const absl::Status status = StatusOf(OptionsFor(ModelFixture("wrong_device.pt2")));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("device cuda; it is to run on cpu"));
}

TEST(LoadModelTest, AnUnknownDeviceIsNamed) {
  ModelOptions options = OptionsFor(DemoTorchScript());
  for (const char* device : {"tpu", "cuda:", "cuda:x", "cuda:-1", ""}) {
    options.device = device;
    const absl::Status status = StatusOf(options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << device;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string("\"") + device + "\""));
  }
}

TEST(LoadModelTest, AGpuThatIsNotThereIsAnErrorThatSaysWhy) {
  ModelOptions options = OptionsFor(DemoTorchScript());
  options.device = HasGpu() ? "cuda:99" : "cuda";
  const absl::Status status = StatusOf(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is not there: "));
}

TEST(LoadModelTest, AutoTakesTheGpuOrFallsBack) {
  ModelOptions options = OptionsFor(DemoTorchScript());
  options.device = "auto";
  absl::StatusOr<std::unique_ptr<Model>> model = LoadModel(options);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->device(), HasGpu() ? "cuda:0" : "cpu");
}

TEST(LoadModelTest, OptionsAreChecked) {
  const auto message = [](auto change) {
    ModelOptions options = OptionsFor(DemoTorchScript());
    change(options);
    return std::string(StatusOf(options).message());
  };
  EXPECT_EQ(message([](ModelOptions& o) { o.instances = 0; }), "instances must be >= 1; was 0");
  EXPECT_EQ(message([](ModelOptions& o) { o.max_batch_size = 0; }), "max_batch_size must be >= 1; was 0");
  EXPECT_THAT(message([](ModelOptions& o) { o.classes = 1; }), HasSubstr("at least 2 labels"));
  EXPECT_THAT(message([](ModelOptions& o) { o.input_shape = {1, 0, 28}; }), HasSubstr("[1, 0, 28]"));
}

TEST(RunModelTest, NamesTheRowWhoseLogitsAreNotFiniteAndWritesTheOthers) {
  absl::StatusOr<std::unique_ptr<Model>> model =
      LoadModel(OptionsFor(ModelFixture("torchscript/nan_logits.pt")));
  ASSERT_TRUE(model.ok()) << model.status();
  constexpr int kRow = 28 * 28;
  absl::Span<float> staging = (*model)->Staging(0);
  std::fill(staging.begin(), staging.end(), 0.0f);
  std::fill_n(staging.begin() + kRow, kRow, 1e4f);  // Row 1 sums to 7.8e6: NaN.
  std::vector<float> logits(3 * 10, -1);
  const absl::Status status = (*model)->Run(0, 3, absl::MakeSpan(logits));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("row 1 "));
  for (int row : {0, 1, 2}) {
    for (int i = 0; i < 10; ++i) EXPECT_EQ(std::isfinite(logits[row * 10 + i]), row != 1) << row;
  }
}

}  // namespace
}  // namespace calserve
