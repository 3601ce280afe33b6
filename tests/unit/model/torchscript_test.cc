// TorchScript models that are made here, for what no committed file can show.
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/torch.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "server/model/model.h"
#include "server/model/torch_program.h"
#include "server/model/torch_slot.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Saves a model of 1024 inputs and 2 logits with an n×1024 parameter `weight`.
std::string SaveModel(const std::string& name, const std::string& forward, int64_t n = 2) {
  torch::jit::Module module("test_model");
  module.register_parameter("weight", torch::ones({n, 1024}), /*is_buffer=*/false);
  module.define(forward);
  const std::string path = ::testing::TempDir() + "/" + name + ".pt";
  module.save(path);
  return path;
}

ModelOptions OptionsOf(const std::string& path) {
  ModelOptions options;
  options.path = path;
  options.input_shape = {1024};
  options.classes = 2;
  options.device = "cpu";
  options.max_batch_size = 2;
  return options;
}

absl::StatusOr<std::unique_ptr<Model>> Load(const std::string& path, int instances = 1,
                                            int intra_op_threads = 0, int max_batch_size = 2) {
  ModelOptions options = OptionsOf(path);
  options.instances = instances;
  options.intra_op_threads = intra_op_threads;
  options.max_batch_size = max_batch_size;
  return LoadModel(options);
}

int64_t ResidentMegabytes() {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * sysconf(_SC_PAGESIZE) >> 20;
}

TEST(TorchScriptTest, ASizeThatTheModelCannotRunIsSeenBeforeItServes) {
  const std::string path = SaveModel("not_three", R"(
    def forward(self, x):
        assert x.size(0) != 3, "three is not my number"
        return torch.matmul(x, self.weight.t())
  )");
  EXPECT_TRUE(Load(path).ok());
  const absl::Status status =
      Load(path, /*instances=*/1, /*intra_op_threads=*/0, /*max_batch_size=*/4).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("[3, 1024]"), HasSubstr("three is not my number")));
}

// Logits of one row of `input`, as the model file gives them and as it is served.
struct Logits {
  std::vector<float> file, served;
};
Logits LogitsOf(const std::string& path, Model& model, std::vector<float> input) {
  torch::jit::Module module = torch::jit::load(path);
  const torch::InferenceMode no_autograd;
  const at::Tensor output = module.forward({torch::from_blob(input.data(), {1, 1024})}).toTensor();
  Logits logits;
  logits.file.assign(output.const_data_ptr<float>(), output.const_data_ptr<float>() + 2);
  logits.served.resize(2);
  std::copy(input.begin(), input.end(), model.Staging(0).begin());
  EXPECT_TRUE(model.Run(0, 1, absl::MakeSpan(logits.served)).ok());
  return logits;
}

// Each is a module that optimize_for_inference of LibTorch 2.15 gets wrong in a way of its own.
class RewriteTest : public ::testing::TestWithParam<std::tuple<const char*, const char*, const char*>> {};

TEST_P(RewriteTest, AModuleThatItDoesNotFitIsServedAsItIs) {
  const auto& [name, forward, why] = GetParam();
  torch::jit::Module module("test_model");
  module.register_parameter("weight", torch::rand({2, 1024}) - 0.5, /*is_buffer=*/false);
  module.register_parameter("kernel", torch::rand({3, 1, 3, 3}) - 0.5, /*is_buffer=*/false);
  module.define(forward);
  const std::string path = absl::StrCat(::testing::TempDir(), "/", name, ".pt");
  module.save(path);
  const auto model = Load(path);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT((*model)->note(), AllOf(HasSubstr("optimize_for_inference"), HasSubstr(why)));
  std::vector<float> input(1024);
  for (size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(i % 17) / 17;
  const Logits logits = LogitsOf(path, **model, input);
  for (int k = 0; k < 2; ++k) EXPECT_NEAR(logits.served[k], logits.file[k], 1e-4) << k;
}

INSTANTIATE_TEST_SUITE_P(Modules, RewriteTest,
                         ::testing::Values(std::make_tuple("ceil_mode", R"(
    def forward(self, x):
        y = torch.conv2d(x.reshape(-1, 1, 32, 32), self.kernel)
        y = torch.avg_pool2d(y, [4, 4], [4, 4], [0, 0], True, True)
        return torch.matmul(y.reshape(x.size(0), -1), self.weight[:, :192].t())
  )",
                                                           "logits differ by"),
                                           std::make_tuple("clamp", R"(
    def forward(self, x):
        y = torch.clamp(torch.conv2d(x.reshape(-1, 1, 32, 32), self.kernel), 0, 1)
        return torch.matmul(torch.mean(y, [2, 3]), self.weight[:, :3].t())
  )",
                                                           "INTERNAL ASSERT"),
                                           std::make_tuple("adaptive", R"(
    def forward(self, x):
        y = torch.adaptive_avg_pool2d(torch.conv2d(x.reshape(-1, 1, 32, 32), self.kernel), [7, 7])
        return torch.matmul(y.reshape(x.size(0), -1), self.weight[:, :147].t())
  )",
                                                           "input size")),
                         [](const auto& info) { return std::string(std::get<0>(info.param)); });

TEST(TorchScriptTest, WhatTheModelRaisesIsSaidWithoutTheLinesThatLedThere) {
  std::string forward = "\n    def forward(self, x):\n        y = x\n";
  for (int i = 0; i < 40; ++i) forward += "        y = y + torch.ones([1024]) * 0.125 - torch.ones([1024])\n";
  forward += "        assert x.size(0) < 0, \"the lens cap is on\"\n        return y\n";
  const absl::Status status = Load(SaveModel("raises", forward)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("the lens cap is on"), ::testing::Not(HasSubstr("Traceback"))));
}

TEST(TorchScriptTest, RowsArePaddedWithZerosUpToTheNextBucket) {
  const std::string path = SaveModel("sums", R"(
    def forward(self, x):
        return x.sum().expand(x.size(0), 1) * torch.ones([1, 2]) + torch.tensor([0.0, 1000.0]) * x.size(0)
  )");
  ModelOptions options = OptionsOf(path);
  options.max_batch_size = 8;
  options.batch_buckets = {2, 8};
  absl::StatusOr<std::unique_ptr<Model>> model = LoadModel(options);
  ASSERT_TRUE(model.ok()) << model.status();
  absl::Span<float> staging = (*model)->Staging(0);
  std::fill(staging.begin(), staging.end(), 1.0f);
  std::vector<float> logits(16);
  // The sum of all rows, and 1000 for each row, that the model sees.
  for (const auto& [rows, sum, second] :
       {std::tuple(8, 8 * 1024.0f, 8000.0f), std::tuple(3, 3 * 1024.0f, 8000.0f),
        std::tuple(2, 2 * 1024.0f, 2000.0f), std::tuple(1, 1024.0f, 2000.0f)}) {
    ASSERT_TRUE((*model)->Run(0, rows, absl::MakeSpan(logits)).ok());
    EXPECT_EQ(logits[0], sum) << rows;
    EXPECT_EQ(logits[1], sum + second) << rows;
  }
  options.batch_buckets = {2, 4};
  EXPECT_THAT(
      std::string(LoadModel(options).status().message()),
      HasSubstr("batch_buckets must be ascending, from 1 at least to max_batch_size, 8; were [2, 4]"));
}

TEST(TorchScriptTest, TheModelComputesInItsDataType) {
  const std::string path = SaveModel("bf16", R"(
    def forward(self, x):
        assert x.dtype == 15 and self.weight.dtype == 15, "not in bf16"  # 15: torch.bfloat16
        return torch.matmul(x, self.weight.t())
  )");
  ModelOptions options = OptionsOf(path);
  EXPECT_THAT(std::string(LoadModel(options).status().message()), HasSubstr("not in bf16"));
  options.dtype = "bf16";
  EXPECT_TRUE(LoadModel(options).ok());
  options.dtype = "int8";
  EXPECT_THAT(std::string(LoadModel(options).status().message()), HasSubstr("fp32 | bf16 | fp16"));
}

TEST(TorchScriptTest, NumbersThatAreNoFloatsStayWhatTheyAre) {
  torch::jit::Module module("test_model");
  module.register_parameter("weight", torch::ones({2, 1024}), /*is_buffer=*/false);
  module.register_buffer("order", torch::arange(1, -1, -1));  // as an index; of a Swin transformer, say
  module.define("def forward(self, x):\n    return torch.matmul(x, self.weight[self.order].t())\n");
  const std::string path = ::testing::TempDir() + "/order.pt";
  module.save(path);
  ModelOptions options = OptionsOf(path);
  options.dtype = "bf16";
  EXPECT_TRUE(LoadModel(options).ok()) << LoadModel(options).status();
}

TEST(TorchScriptTest, ATracedConvolutionHasFullFloat32) {
  torch::jit::Module module("test_model");
  module.define(R"(
    def forward(self, x):
        w = torch.ones([1, 1, 1])
        if bool(x.sum() > 0):  # in a block of its own
            x = torch._convolution(x, w, None, [1], [0], [1], False, [0], 1, False, False, True, True)
        return torch._convolution(x, w, None, [1], [0], [1], False, [0], 1, False, False, True, True)
  )");
  ForbidTf32(module);
  const auto convolutions = torch::jit::findAllNodes(*module.get_method("forward").graph(),
                                                     c10::Symbol::fromQualString("aten::_convolution"),
                                                     /*recurse=*/true);
  ASSERT_EQ(convolutions.size(), 2u);
  for (const torch::jit::Node* const node : convolutions) {
    const auto allowed = torch::jit::toIValue(node->input(12));
    ASSERT_TRUE(allowed.has_value());
    EXPECT_FALSE(allowed->toBool());
  }
  // And it still runs.
  EXPECT_EQ(module.forward({torch::ones({1, 1, 4})}).toTensor().sum().item<float>(), 4);
}

TEST(FailedPassTest, IsOursWhileTheDeviceAnswersAndTheDevicesOnceItDoesNot) {
  const absl::Status ours = FailedPass("out of memory", "cuda:0", [] {});
  EXPECT_EQ(ours, absl::InternalError("out of memory"));
  const absl::Status lost =
      FailedPass("illegal access", "cuda:0", [] { throw std::runtime_error("CUDA error: illegal access"); });
  EXPECT_EQ(lost.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorReason(lost), kDeviceLost);
  EXPECT_THAT(std::string(lost.message()), AllOf(HasSubstr("cuda:0"), HasSubstr("illegal access")));
  EXPECT_NO_THROW(AskDevice(c10::Device("cpu")));
}

TEST(TorchScriptTest, InstancesShareOneCopyOfTheWeights) {
  const std::string path = SaveModel("large", R"(
    def forward(self, x):
        return torch.matmul(x, self.weight.t())[:, :2]
  )",
                                     64 * 256);  // 64 MiB
  ASSERT_TRUE(Load(path).ok());                  // Grows the heap to what loading needs.
  const auto growth = [&path](int instances) {
    const int64_t before = ResidentMegabytes();
    absl::StatusOr<std::unique_ptr<Model>> model = Load(path, instances);
    EXPECT_TRUE(model.ok()) << model.status();
    return ResidentMegabytes() - before;
  };
  EXPECT_LT(growth(4) - growth(1), 32);
}

int Threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<int>(std::distance(begin(tasks), end(tasks)));
}

TEST(TorchScriptTest, EveryModelHasItsOwnIntraOpThreads) {
  const std::string path = SaveModel("parallel", R"(
    def forward(self, x):
        return torch.exp(self.weight * x[0, 0]).sum() + x[:, :2]
  )",
                                     1024);
  SetIntraOpThreads(2);
  const auto threads_added_by = [](Model& model) {
    int added = 0;
    std::jthread([&model, &added] {
      const int before = Threads();
      std::vector<float> logits(2);
      EXPECT_TRUE(model.Run(0, 1, absl::MakeSpan(logits)).ok());
      added = Threads() - before;
    }).join();
    return added;
  };
  const auto threads_added = [&](int intra_op_threads) {
    const absl::StatusOr<std::unique_ptr<Model>> model = Load(path, 1, intra_op_threads);
    EXPECT_TRUE(model.ok()) << model.status();
    return threads_added_by(**model);
  };
  EXPECT_EQ(threads_added(1), 0);
  EXPECT_EQ(threads_added(4), 3);
  EXPECT_EQ(threads_added(0), 1);

  const auto loaded = *Load(path, 1, 0);
  EXPECT_FALSE(loaded->any_thread());
  SetIntraOpThreads(3);
  EXPECT_EQ(threads_added_by(*loaded), 2) << "one that is loaded already follows";
  SetIntraOpThreads(1);
  EXPECT_TRUE(loaded->any_thread());
  SetIntraOpThreads(2);
}

TEST(TorchScriptTest, AModelMustReturnOneTensor) {
  const std::string path = SaveModel("tuple", R"(
    def forward(self, x):
        return (x, self.weight)
  )");
  const absl::Status status = Load(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("must return one tensor; it returned Tuple"));
}

TEST(TorchScriptTest, AFixedBatchSizeIsFoundWhileWarmingUp) {
  const std::string path = SaveModel("fixed", R"(
    def forward(self, x):
        return torch.matmul(x, self.weight.t())[:1]
  )");
  const absl::Status status = Load(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("[2, 2]"), HasSubstr("it gave [1, 2]")));
}

TEST(TorchScriptTest, AnErrorInTheForwardPassIsInternalAndTheInstanceLivesOn) {
  const std::string path = SaveModel("raises", R"(
    def forward(self, x):
        assert bool(x.max() < 9), "too bright"
        return torch.matmul(x, self.weight.t())
  )");
  absl::StatusOr<std::unique_ptr<Model>> model = Load(path);
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<float> logits(2);
  (*model)->Staging(0)[0] = 10;
  const absl::Status status = (*model)->Run(0, 1, absl::MakeSpan(logits));
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("too bright"));
  (*model)->Staging(0)[0] = 1;
  EXPECT_TRUE((*model)->Run(0, 1, absl::MakeSpan(logits)).ok());
  EXPECT_EQ(logits[0], 1);
}

}  // namespace
}  // namespace calserve
