#include "server/model/model.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/model/device_memory.h"
#include "server/model/torch_device.h"
#include "server/model/torch_model.h"
#include "tests/unit/model/model_fixtures.h"

namespace calserve {
namespace {

using ::testing::FloatNear;
using ::testing::Pointwise;

constexpr int kPixels = 28 * 28;
constexpr int kClasses = 10;

struct Golden {
  std::vector<std::vector<float>> inputs, logits;
};

// Images of the training set, normalised, and their logits by eager PyTorch in float64.
const Golden& GoldenImages() {
  static const Golden* const golden = [] {
    const auto json = nlohmann::json::parse(std::ifstream(ModelFixture("golden.json")));
    auto* images = new Golden{json["pixels"], json["logits"]};
    for (std::vector<float>& image : images->inputs) {
      for (float& pixel : image) pixel = (pixel / 255 - 0.2860f) / 0.3530f;
    }
    return images;
  }();
  return *golden;
}

// LibTorch looks for CUDA once: before the first test uses it on the CPU, where there is a GPU.
class OpenCudaFirst : public ::testing::Environment {
  void SetUp() override { ResolveDevice("cuda").IgnoreError(); }
};
const ::testing::Environment* const kOpenCudaFirst = ::testing::AddGlobalTestEnvironment(new OpenCudaFirst);

class TorchModelTest : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  static void SetUpTestSuite() { SetIntraOpThreads(1); }

  void SetUp() override {
    if (absl::StatusOr<std::string> device = ResolveDevice(device_name()); !device.ok()) {
      GTEST_SKIP() << device.status().message();
    }
    if (device_name() != "cpu" && format() == "aotinductor") GTEST_SKIP() << "the package is for the CPU";
  }

  std::string format() const { return std::get<0>(GetParam()); }
  std::string device_name() const { return std::get<1>(GetParam()); }
  // The logits reach 53 in size; both formats come within 1.1e-5 on a CPU. A GPU's libraries take another
  // order of sums for another number of rows.
  float tolerance() const { return device_name() == "cpu" ? 1e-4f : 1e-3f; }

  ModelOptions Options() const {
    ModelOptions options = OptionsFor(format() == "torchscript" ? DemoTorchScript() : DemoPackage());
    options.device = device_name();
    return options;
  }
  void Load(int instances = 1) {
    ModelOptions options = Options();
    options.instances = instances;
    model_ = LoadModel(options).value();
  }

  // Writes `rows` golden images, the first of which is `first`.
  void Stage(int instance, int slot, size_t first, int rows) {
    const Golden& golden = GoldenImages();
    float* staging = model_->Staging(instance, slot).data();
    for (int row = 0; row < rows; ++row) {
      const std::vector<float>& image = golden.inputs[(first + row) % golden.inputs.size()];
      staging = std::copy(image.begin(), image.end(), staging);
    }
  }
  // Their logits.
  std::vector<float> Run(int instance, size_t first, int rows) {
    Stage(instance, 0, first, rows);
    std::vector<float> logits(rows * kClasses);
    const absl::Status status = model_->Run(instance, rows, absl::MakeSpan(logits));
    EXPECT_TRUE(status.ok()) << status;
    return logits;
  }

  // The same by a model in float32.
  std::vector<float> Run32(size_t first, int rows) {
    const std::unique_ptr<Model> other = std::exchange(model_, LoadModel(Options()).value());
    return Run(0, first, rows);
  }

  static std::vector<float> Expected(size_t first, int rows) {
    const Golden& golden = GoldenImages();
    std::vector<float> logits;
    for (int row = 0; row < rows; ++row) {
      const std::vector<float>& own = golden.logits[(first + row) % golden.logits.size()];
      logits.insert(logits.end(), own.begin(), own.end());
    }
    return logits;
  }

  std::unique_ptr<Model> model_;
};

TEST_P(TorchModelTest, MatchesGoldenLogits) {
  Load();
  EXPECT_THAT(Run(0, 0, 16), Pointwise(FloatNear(tolerance()), Expected(0, 16)));
}

TEST_P(TorchModelTest, EveryBatchSizeGivesTheSameLogits) {
  Load();
  for (int rows = 1; rows <= 32; ++rows) {
    EXPECT_THAT(Run(0, rows, rows), Pointwise(FloatNear(tolerance()), Expected(rows, rows)))
        << rows << " rows";
  }
}

TEST_P(TorchModelTest, TheRowsOfABatchAreTheSameRowsAlone) {
  Load();
  std::vector<std::vector<float>> alone;
  for (size_t i = 0; i < GoldenImages().inputs.size(); ++i) alone.push_back(Run(0, i, 1));
  for (int rows = 2; rows <= 32; ++rows) {
    const std::vector<float> batch = Run(0, 0, rows);
    for (int row = 0; row < rows; ++row) {
      const std::vector<float>& expected = alone[row % alone.size()];
      for (int k = 0; k < kClasses; ++k) {
        EXPECT_NEAR(batch[row * kClasses + k], expected[k],
                    tolerance() / 10 * std::max(1.0f, std::abs(expected[k])));
      }
    }
  }
}

// A thread keeps the library of a package mapped until it ends; package_swap_test would see it.
TEST_P(TorchModelTest, AnyThreadMayRunAScriptOfOneThreadOnTheCpu) {
  ModelOptions options = Options();
  options.intra_op_threads = 1;
  model_ = LoadModel(options).value();
  EXPECT_EQ(model_->any_thread(), format() == "torchscript" && device_name() == "cpu");
  options.intra_op_threads = 2;  // It would keep a team of them.
  EXPECT_FALSE(LoadModel(options).value()->any_thread());
}

TEST_P(TorchModelTest, TwoBatchesOfAnInstanceAreUnderWayAtOnce) {
  ModelOptions options = Options();
  options.slots = 2;
  model_ = LoadModel(options).value();
  ASSERT_EQ(model_->slots(), 2);
  for (int i = 0; i < 20; ++i) {
    for (int slot : {0, 1}) {
      Stage(0, slot, 3 * i + slot, 8 - slot);
      ASSERT_TRUE(model_->Start(0, slot, 8 - slot).ok());
    }
    for (int slot : {0, 1}) {
      std::vector<float> logits((8 - slot) * kClasses);
      ASSERT_TRUE(model_->Finish(0, slot, 8 - slot, absl::MakeSpan(logits)).ok());
      EXPECT_THAT(logits, Pointwise(FloatNear(tolerance()), Expected(3 * i + slot, 8 - slot)));
    }
  }
}

TEST_P(TorchModelTest, ShorterDataTypesKeepTheLogitsAboutTheSame) {
  if (format() == "aotinductor") {
    ModelOptions options = Options();
    options.dtype = "bf16";
    EXPECT_THAT(std::string(LoadModel(options).status().message()), ::testing::HasSubstr("leave dtype out"));
    return;
  }
  for (const char* dtype : {"bf16", "fp16"}) {
    ModelOptions options = Options();
    options.dtype = dtype;
    model_ = LoadModel(options).value();
    const std::vector<float> logits = Run(0, 0, 16), expected = Expected(0, 16);
    EXPECT_THAT(logits, Pointwise(FloatNear(0.5f), expected)) << dtype;
    EXPECT_NE(logits, Run32(0, 16)) << dtype << " is not float32";
  }
}

TEST_P(TorchModelTest, PaddedRowsChangeNothing) {
  ModelOptions options = Options();
  options.batch_buckets = {4, 32};
  model_ = LoadModel(options).value();
  Run(0, 5, 32);  // What the staging buffer holds afterwards is padded over.
  for (int rows : {1, 3, 4, 5, 31, 32}) {
    EXPECT_THAT(Run(0, rows, rows), Pointwise(FloatNear(tolerance()), Expected(rows, rows))) << rows;
  }
}

TEST_P(TorchModelTest, InstancesRunAtOnceWithoutMixing) {
  Load(/*instances=*/4);
  std::vector<std::jthread> threads;
  for (int instance = 0; instance < 4; ++instance) {
    threads.emplace_back([this, instance] {
      for (int i = 0; i < 50; ++i) {
        const int rows = 1 + (i + instance) % 8;
        EXPECT_THAT(Run(instance, i, rows), Pointwise(FloatNear(tolerance()), Expected(i, rows)));
      }
    });
  }
}

TEST_P(TorchModelTest, StagingHoldsALargestBatch) {
  Load(2);
  for (int instance : {0, 1}) EXPECT_EQ(model_->Staging(instance).size(), 32 * kPixels);
  EXPECT_NE(model_->Staging(0).data(), model_->Staging(1).data());
}

TEST_P(TorchModelTest, SaysWhatItIs) {
  Load();
  EXPECT_EQ(model_->format(), format());
  EXPECT_EQ(model_->device(), device_name() == "cuda" ? "cuda:0" : device_name());
  EXPECT_EQ(model_->columns(), kClasses);
  EXPECT_EQ(model_->options().name, "fashion_mnist");
  EXPECT_EQ(model_->digest().size(), 64);
}

TEST_P(TorchModelTest, OnlyAnAcceleratorHasMemoryOfItsOwn) {
  Load();
  const std::optional<DeviceMemory> memory = DeviceMemoryOf(model_->device());
  ASSERT_EQ(memory.has_value(), device_name() != "cpu");
  if (!memory.has_value()) return;
  EXPECT_GT(memory->allocated_bytes, 0);  // the weights
  EXPECT_LE(memory->allocated_bytes, memory->reserved_bytes);
  EXPECT_LE(memory->reserved_bytes + memory->free_bytes, memory->size_bytes);
}

TEST_P(TorchModelTest, StartsNoThreadsOfItsOwn) {
  if (device_name() != "cpu") GTEST_SKIP() << "intra-op threads are the CPU's";
  Load(2);
  const auto threads = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                         std::filesystem::directory_iterator());
  };
  const auto before = threads();
  for (int instance : {0, 1}) {
    std::jthread([&] {
      Run(instance, 0, 16);
      EXPECT_EQ(threads(), before + 1);  // This one: intra-op threads are set to 1.
    }).join();
  }
}

INSTANTIATE_TEST_SUITE_P(FormatsAndDevices, TorchModelTest,
                         ::testing::Combine(::testing::Values("torchscript", "aotinductor"),
                                            ::testing::Values("cpu", "cuda")),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param);
                         });

// "auto" takes it there, also where there is a GPU.
TEST(PackageDeviceTest, IsWhatItWasCompiledFor) {
  EXPECT_EQ(PackageDevice(DemoPackage()), "cpu");
  EXPECT_EQ(PackageDevice(DemoTorchScript()), "") << "no package";
  EXPECT_EQ(PackageDevice("nowhere.pt2"), "");
  ModelOptions options = OptionsFor(DemoPackage());
  options.device = "auto";
  EXPECT_EQ(LoadModel(options).value()->device(), "cpu");
}

TEST(BinaryModelTest, OneLogitAndTwoLogitsAreTheSameClassifier) {
  const auto load = [](const char* file) { return LoadModel(OptionsFor(ModelFixture(file), 2)).value(); };
  const std::unique_ptr<Model> one = load("torchscript/binary_one_logit.pt");
  const std::unique_ptr<Model> two = load("torchscript/binary_two_logits.pt");
  EXPECT_EQ(one->columns(), 1);
  EXPECT_EQ(two->columns(), 2);
  for (Model* model : {one.get(), two.get()}) {
    std::copy_n(GoldenImages().inputs[0].begin(), kPixels, model->Staging(0).begin());
  }
  std::vector<float> z(1), pair(2);
  ASSERT_TRUE(one->Run(0, 1, absl::MakeSpan(z)).ok());
  ASSERT_TRUE(two->Run(0, 1, absl::MakeSpan(pair)).ok());
  EXPECT_NEAR(pair[1] - pair[0], z[0], 1e-5);
}

}  // namespace
}  // namespace calserve
