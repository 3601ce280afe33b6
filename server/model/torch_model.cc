#include "server/model/torch_model.h"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/model/torch_device.h"
#include "server/model/torch_program.h"

namespace calserve {
namespace {

// A number of rows that is new to the process costs the set-up of its kernels, whichever instance meets it
// first (the demo model's first batch of 3 took 0.79 ms, its second 0.18). All sizes are warmed where that is
// cheap; where it is not, the set-up is little beside the pass.
constexpr std::chrono::milliseconds kOtherSizesBudget{500};

std::string ShapeText(c10::IntArrayRef shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

std::vector<int64_t> BatchShape(const ModelOptions& options, int64_t rows) {
  std::vector<int64_t> shape = {rows};
  shape.insert(shape.end(), options.input_shape.begin(), options.input_shape.end());
  return shape;
}

class TorchModel final : public Model {
 public:
  // Throws what LibTorch throws.
  TorchModel(const ModelOptions& options, ModelFile file, std::unique_ptr<TorchProgram> program);

  // Runs each instance, which decides columns(). INVALID_ARGUMENT if the model cannot run or gives another
  // shape.
  absl::Status CheckAndWarm();

  absl::Span<float> Staging(int instance) override;
  absl::Status Run(int instance, int rows, absl::Span<float> logits) override;

  int columns() const override { return columns_; }
  const ModelOptions& options() const override { return options_; }
  const std::string& format() const override { return file_.format; }
  const std::string& device() const override { return file_.device; }
  const std::string& digest() const override { return file_.digest; }

 private:
  // What an instance has of its own.
  struct Instance {
    at::Tensor staging;  // max_batch_size×(input shape), on the host
    c10::Stream stream;  // on the device; the CPU's does nothing
  };

  // The output for the first `rows` rows of staging, wherever the model left it. Throws what LibTorch throws.
  at::Tensor Forward(const Instance& instance, int rows);
  absl::Status CheckShape(c10::IntArrayRef shape, int rows) const;
  absl::Status WarmOnThisThread(const Instance& instance, const std::vector<int>& batch_sizes);
  // Sizes that no instance was warmed at, the smallest first, for as long as kOtherSizesBudget.
  absl::Status WarmOtherSizes(const std::vector<int>& warmed);

  // Constant once loaded.
  const ModelOptions options_;
  const ModelFile file_;
  const c10::Device device_;
  const std::unique_ptr<TorchProgram> program_;
  std::vector<Instance> instances_;
  int columns_ = 0;
};

TorchModel::TorchModel(const ModelOptions& options, ModelFile file, std::unique_ptr<TorchProgram> program)
    : options_(options), file_(std::move(file)), device_(file_.device), program_(std::move(program)) {
  const auto on_host = at::TensorOptions().dtype(at::kFloat).pinned_memory(!device_.is_cpu());
  const c10::impl::VirtualGuardImpl device(device_.type());
  for (int i = 0; i < options_.instances; ++i) {
    instances_.push_back({.staging = at::zeros(BatchShape(options_, options_.max_batch_size), on_host),
                          .stream = device.getNewStream(device_)});
  }
}

absl::Span<float> TorchModel::Staging(int instance) {
  const at::Tensor& staging = instances_[instance].staging;
  return {staging.data_ptr<float>(), static_cast<size_t>(staging.numel())};
}

absl::Status TorchModel::Run(int instance, int rows, absl::Span<float> logits) try {
  const c10::InferenceMode no_autograd;
  const c10::StreamGuard on_stream(instances_[instance].stream);
  const at::Tensor output = Forward(instances_[instance], rows);
  if (absl::Status shape = CheckShape(output.sizes(), rows); !shape.ok())
    return absl::InternalError(shape.message());
  // Waits for the device.
  at::from_blob(logits.data(), {rows, columns_}, at::TensorOptions().dtype(at::kFloat)).copy_(output);
  for (int i = 0; i < rows * columns_; ++i) {
    if (!std::isfinite(logits[i])) {
      return absl::DataLossError(absl::StrCat("the logits of row ", i / columns_, " are not finite"));
    }
  }
  return absl::OkStatus();
} catch (const std::exception& e) {
  return absl::InternalError(absl::StrCat("the forward pass of ", rows, " rows failed: ", CauseOf(e)));
}

at::Tensor TorchModel::Forward(const Instance& instance, int rows) {
  UseIntraOpThreads(options_.intra_op_threads);
  return program_->Forward(instance.staging.narrow(0, 0, rows).to(device_, /*non_blocking=*/true));
}

absl::Status TorchModel::CheckShape(c10::IntArrayRef shape, int rows) const {
  const bool as_loaded = columns_ == 0 || (shape.size() == 2 && shape[1] == columns_);
  const bool as_labelled = shape.size() == 2 && shape[0] == rows &&
                           (shape[1] == options_.classes || (shape[1] == 1 && options_.classes == 2));
  if (as_loaded && as_labelled) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the model must give logits of shape ", ShapeText({rows, options_.classes}),
                   options_.classes == 2 ? absl::StrCat(" or ", ShapeText({rows, 1})) : "",
                   ", one for each of ", options_.classes, " labels, for an input of shape ",
                   ShapeText(BatchShape(options_, rows)), "; it gave ", ShapeText(shape)));
}

absl::Status TorchModel::WarmOnThisThread(const Instance& instance, const std::vector<int>& batch_sizes) {
  const c10::InferenceMode no_autograd;
  const c10::StreamGuard on_stream(instance.stream);
  for (int rows : batch_sizes) {
    try {
      const at::Tensor output = Forward(instance, rows).to(at::kCPU);  // Waits for the device.
      RETURN_IF_ERROR(CheckShape(output.sizes(), rows));
      columns_ = static_cast<int>(output.size(1));
    } catch (const std::exception& e) {
      return absl::InvalidArgumentError(absl::StrCat("the model cannot run on an input of shape ",
                                                     ShapeText(BatchShape(options_, rows)), ": ",
                                                     CauseOf(e)));
    }
  }
  return absl::OkStatus();
}

absl::Status TorchModel::CheckAndWarm() {
  std::vector<int> batch_sizes;
  for (int rows = 1; rows < options_.max_batch_size; rows *= 2) batch_sizes.push_back(rows);
  batch_sizes.push_back(options_.max_batch_size);
  for (const Instance& instance : instances_) {
    absl::Status status;
    std::jthread([&] { status = WarmOnThisThread(instance, batch_sizes); }).join();
    RETURN_IF_ERROR(status);
  }
  absl::Status status;
  std::jthread([&] { status = WarmOtherSizes(batch_sizes); }).join();
  return status;
}

absl::Status TorchModel::WarmOtherSizes(const std::vector<int>& warmed) {
  const auto end = std::chrono::steady_clock::now() + kOtherSizesBudget;
  for (int rows = 1; rows < options_.max_batch_size && std::chrono::steady_clock::now() < end; ++rows) {
    if (std::find(warmed.begin(), warmed.end(), rows) != warmed.end()) continue;
    RETURN_IF_ERROR(WarmOnThisThread(instances_.front(), {rows}));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Model>> LoadOnThisThread(const ModelOptions& options,
                                                        const ModelFile& file) try {
  const c10::Device device(file.device);
  absl::StatusOr<std::unique_ptr<TorchProgram>> program =
      file.format == "aotinductor" ? LoadAotInductor(options.path, device, options.instances)
                                   : LoadTorchScript(options.path, device);
  RETURN_IF_ERROR(program.status());
  auto model = std::make_unique<TorchModel>(options, file, *std::move(program));
  RETURN_IF_ERROR(model->CheckAndWarm());
  return model;
} catch (const std::exception& e) {
  return absl::InternalError(
      absl::StrCat("LibTorch cannot prepare the model for ", file.device, ": ", CauseOf(e)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> LoadTorchModel(const ModelOptions& options, const ModelFile& file) {
  // Each thread that LibTorch computes on keeps its own OpenMP team, and once there are more OpenMP threads
  // than cores every team waits in the kernel instead of spinning: the demo model's batch 1 took 0.9 ms
  // instead of 0.15 on two cores. So loading computes on a thread that ends, and its team with it.
  absl::StatusOr<std::unique_ptr<Model>> model;
  std::jthread([&] { model = LoadOnThisThread(options, file); }).join();
  return model;
}

}  // namespace calserve
