#include "server/model/torch_program.h"

#include <ATen/Functions.h>
#include <ATen/cpu/Utils.h>
#include <c10/core/DeviceType.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "server/base/status_macros.h"
#include "server/model/package_metadata.h"

namespace calserve {
namespace {

using torch::inductor::AOTIModelPackageLoader;

constexpr size_t kLongestCause = 600;

// The last line of the kind "RuntimeError: three is not my number" and what follows it; all of it without
// one. TorchScript puts it behind as many lines of code as the model is deep.
absl::string_view AfterTraceback(absl::string_view text) {
  if (!absl::StrContains(text, "Traceback of TorchScript")) return text;
  for (size_t end = text.size(); end > 0;) {
    const size_t line_feed = text.rfind('\n', end - 1);
    const size_t begin = line_feed == absl::string_view::npos ? 0 : line_feed + 1;
    const absl::string_view name = text.substr(begin, std::min(text.find(": ", begin), end) - begin);
    if (absl::EndsWith(name, "Error") || absl::EndsWith(name, "Exception")) return text.substr(begin);
    if (begin == 0) break;
    end = line_feed;
  }
  return text;
}

at::Tensor Run(torch::jit::Module& module, const at::Tensor& batch) {
  const c10::IValue output = module.forward({batch});
  TORCH_CHECK(output.isTensor(), "forward must return one tensor; it returned ", output.tagKind());
  return output.toTensor();
}

// Its floating-point parameters and buffers: Module::to would make indices, counts and masks numbers of that
// type too, which then index nothing.
void Convert(torch::jit::Module& module, c10::ScalarType dtype) {
  const auto convert = [dtype](at::Tensor tensor) {
    if (tensor.is_floating_point()) tensor.set_data(tensor.to(dtype));
  };
  for (const at::Tensor& parameter : module.parameters()) convert(parameter);
  for (const at::Tensor& buffer : module.buffers()) convert(buffer);
}

// Numbers from 0 to 1 without a pattern, the same every time: also a logarithm or a root of them is finite.
at::Tensor ProbeBatch(const std::vector<int64_t>& shape, c10::ScalarType dtype) {
  const int64_t values = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
  at::Tensor probe = at::arange(1, values + 1, at::kDouble).mul_(12.9898).sin_().abs_();
  return probe.reshape(shape).to(dtype);
}

// OK, or how far the rewritten module is from the frozen one, as a part of the largest logit.
absl::Status CheckRewritten(torch::jit::Module& rewritten, const at::Tensor& frozen,
                            const at::Tensor& probe) {
  const double tolerance = probe.scalar_type() == at::kFloat ? 1e-3 : 5e-2;
  const at::Tensor expected = frozen.to(at::kFloat), given = Run(rewritten, probe).to(at::kFloat);
  if (!expected.isfinite().all().item<bool>() || !given.isfinite().all().item<bool>()) {
    return absl::DataLossError("its logits are not finite, so that they cannot be compared");
  }
  const double largest = expected.abs().max().item<double>(),
               worst = given.sub(expected).abs().max().item<double>();
  if (worst <= tolerance * largest) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("logits differ by ", worst, " where the largest is ", largest));
}

class TorchScriptProgram final : public TorchProgram {
 public:
  TorchScriptProgram(torch::jit::Module module, std::string note)
      : module_(std::move(module)), note_(std::move(note)) {}

  at::Tensor Forward(const at::Tensor& batch) override { return Run(module_, batch); }
  std::string note() const override { return note_; }

 private:
  torch::jit::Module module_;
  const std::string note_;
};

// oneDNN's layouts: batch 8 in 0.30 ms instead of 0.95, batch 32 in 0.84 instead of 4 (batch 1: 0.14 for
// 0.10; the demo model, one thread). Logits move by 1e-5. Not every module survives it: AvgPool2d with
// ceil_mode gives other values, clamp with whole bounds cannot be rewritten, AdaptiveAvgPool2d not run.
std::unique_ptr<TorchProgram> RewriteForCpu(torch::jit::Module frozen, torch::jit::Module to_rewrite,
                                            const at::Tensor& probe) {
  const c10::InferenceMode no_autograd;
  at::Tensor expected;
  try {
    expected = Run(frozen, probe);
  } catch (const std::exception&) {  // Whoever runs it next says so.
    return std::make_unique<TorchScriptProgram>(std::move(frozen), "");
  }
  absl::Status same;
  try {
    torch::jit::Module rewritten = torch::jit::optimize_for_inference(to_rewrite);
    same = CheckRewritten(rewritten, expected, probe);
    if (same.ok()) return std::make_unique<TorchScriptProgram>(std::move(rewritten), "");
  } catch (const std::exception& e) {
    same = absl::InternalError(CauseOf(e));
  }
  return std::make_unique<TorchScriptProgram>(
      std::move(frozen),
      absl::StrCat(
          "runs without oneDNN's layouts, which may be slower: TorchScript's optimize_for_inference does "
          "not fit this model (",
          same.message(), "); an AOTInductor package (.pt2) has no need of it"));
}

class AotInductorProgram final : public TorchProgram {
 public:
  AotInductorProgram(const std::string& path, c10::Device device, int runs)
      : loader_(std::make_unique<AOTIModelPackageLoader>(
            path, kModelInPackage, /*run_single_threaded=*/false, static_cast<size_t>(runs),
            device.is_cpu() ? c10::DeviceIndex{-1} : device.index())) {}
  // A package's library has a destructor for each thread that has called into it, and the loader keeps it
  // until those threads have ended: so the last call, to destroy the model, is on one that ends. What is
  // closed here is unmapped when the next library is closed.
  ~AotInductorProgram() override {
    try {
      std::jthread([this] { loader_.reset(); }).join();
    } catch (const std::system_error&) {  // No thread: it stays mapped for as long as this one lives.
    }
  }

  at::Tensor Forward(const at::Tensor& batch) override {
    std::vector<at::Tensor> outputs = loader_->run({batch});
    TORCH_CHECK(outputs.size() == 1, "the model must return one tensor; it returned ", outputs.size());
    return std::move(outputs.front());
  }

 private:
  std::unique_ptr<AOTIModelPackageLoader> loader_;
};

absl::Status NotAModel(const std::string& path, absl::string_view format, const std::exception& e) {
  return absl::InvalidArgumentError(absl::StrCat(path, " is not ", format, ": ", CauseOf(e)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<TorchProgram>> LoadTorchScript(const std::string& path, c10::Device device,
                                                              c10::ScalarType dtype,
                                                              const std::vector<int64_t>& batch_shape) try {
  // Profiling would run the first batches slowly, compile for their shapes and fall back at other ones: 30 ms
  // at the first batch of the demo model, for no gain at any batch size. It is a switch of the process.
  torch::jit::getProfilingMode() = false;
  torch::jit::Module module = torch::jit::load(path, device);
  module.eval();
  if (dtype != at::kFloat) Convert(module, dtype);
  torch::jit::Module frozen = torch::jit::freeze(module);
  // On a GPU it would undo channels-last for nothing.
  if (!device.is_cpu()) {
    ForbidTf32(frozen);
    return std::make_unique<TorchScriptProgram>(std::move(frozen), "");
  }
  return RewriteForCpu(std::move(frozen), torch::jit::freeze(module), ProbeBatch(batch_shape, dtype));
} catch (const std::exception& e) {
  return NotAModel(path, "a TorchScript model, as torch.jit.save writes it", e);
}

absl::StatusOr<std::unique_ptr<TorchProgram>> LoadAotInductor(const std::string& path, c10::Device device,
                                                              int runs) try {
  const PackageMetadata metadata = AOTIModelPackageLoader::load_metadata_from_package(path, kModelInPackage);
  RETURN_IF_ERROR(CheckPackageFits(
      metadata, PackageHost::ThisOne(c10::DeviceTypeName(device.type(), /*lower_case=*/true))));
  if (device.is_cpu()) at::cpu::init_amx();  // Asks the kernel for AMX tiles, which some packages need.
  return std::make_unique<AotInductorProgram>(path, device, runs);
} catch (const std::exception& e) {
  return NotAModel(path,
                   "an AOTInductor package, as tools/export_model.py writes it, that can be loaded here", e);
}

void ForbidTf32(torch::jit::Module& module) {
  constexpr size_t kAllowTf32 = 12;  // of aten::_convolution's inputs
  torch::jit::Graph& graph = *module.get_method("forward").graph();
  const auto convolution = c10::Symbol::fromQualString("aten::_convolution");
  for (torch::jit::Node* const node : torch::jit::findAllNodes(graph, convolution, /*recurse=*/true)) {
    if (node->inputs().size() <= kAllowTf32) continue;
    const torch::jit::WithInsertPoint before(node);
    node->replaceInput(kAllowTf32, graph.insertConstant(false));
  }
}

std::string CauseOf(const std::exception& e) {
  const auto* error = dynamic_cast<const c10::Error*>(&e);
  const std::string text = error != nullptr ? error->what_without_backtrace() : e.what();
  std::string cause = absl::StrReplaceAll(AfterTraceback(text), {{"\n", " "}});
  if (cause.size() > kLongestCause) cause = cause.substr(0, kLongestCause) + "...";
  return cause;
}

}  // namespace calserve
