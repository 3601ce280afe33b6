#include "server/model/torch_program.h"

#include <ATen/cpu/Utils.h>
#include <c10/core/DeviceType.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <memory>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "server/base/status_macros.h"
#include "server/model/package_metadata.h"

namespace calserve {
namespace {

using torch::inductor::AOTIModelPackageLoader;

constexpr char kModelInPackage[] = "model";  // The name that torch._inductor.aoti_compile_and_package gives.
constexpr size_t kLongestCause = 600;

class TorchScriptProgram final : public TorchProgram {
 public:
  explicit TorchScriptProgram(torch::jit::Module module) : module_(std::move(module)) {}

  at::Tensor Forward(const at::Tensor& batch) override {
    const c10::IValue output = module_.forward({batch});
    TORCH_CHECK(output.isTensor(), "forward must return one tensor; it returned ", output.tagKind());
    return output.toTensor();
  }

 private:
  torch::jit::Module module_;
};

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
                                                              c10::ScalarType dtype) try {
  // Profiling would run the first batches slowly, compile for their shapes and fall back at other ones: 30 ms
  // at the first batch of the demo model, for no gain at any batch size. It is a switch of the process.
  torch::jit::getProfilingMode() = false;
  torch::jit::Module module = torch::jit::load(path, device);
  module.eval();
  if (dtype != at::kFloat) module.to(dtype);
  module = torch::jit::freeze(module);
  // oneDNN's layouts: batch 8 in 0.30 ms instead of 0.95, batch 32 in 0.84 instead of 4 (batch 1: 0.14 for
  // 0.10; the demo model, one thread). Logits move by 1e-5. On a GPU it would undo channels-last for nothing.
  if (device.is_cpu()) module = torch::jit::optimize_for_inference(module);
  return std::make_unique<TorchScriptProgram>(std::move(module));
} catch (const std::exception& e) {
  return NotAModel(path, "a TorchScript model", e);
}

absl::StatusOr<std::unique_ptr<TorchProgram>> LoadAotInductor(const std::string& path, c10::Device device,
                                                              int runs) try {
  const PackageMetadata metadata = AOTIModelPackageLoader::load_metadata_from_package(path, kModelInPackage);
  RETURN_IF_ERROR(CheckPackageFits(
      metadata, PackageHost::ThisOne(c10::DeviceTypeName(device.type(), /*lower_case=*/true))));
  if (device.is_cpu()) at::cpu::init_amx();  // Asks the kernel for AMX tiles, which some packages need.
  return std::make_unique<AotInductorProgram>(path, device, runs);
} catch (const std::exception& e) {
  return NotAModel(path, "an AOTInductor package that can be loaded here", e);
}

std::string CauseOf(const std::exception& e) {
  const auto* error = dynamic_cast<const c10::Error*>(&e);
  std::string cause = error != nullptr ? error->what_without_backtrace() : e.what();
  cause = absl::StrReplaceAll(cause, {{"\n", " "}});
  if (cause.size() > kLongestCause) cause = cause.substr(0, kLongestCause) + "...";
  return cause;
}

}  // namespace calserve
