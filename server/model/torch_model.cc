#include "server/model/torch_model.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <functional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/model/package_metadata.h"
#include "server/model/torch_device.h"
#include "server/model/torch_program.h"
#include "server/model/torch_slot.h"

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

// The batch sizes to be warmed before a model serves.
std::vector<int> WarmUpSizes(const ModelOptions& options) {
  if (!options.batch_buckets.empty()) return options.batch_buckets;
  std::vector<int> sizes;
  for (int rows = 1; rows < options.max_batch_size; rows *= 2) sizes.push_back(rows);
  sizes.push_back(options.max_batch_size);
  return sizes;
}

int SlotsOf(const ModelOptions& options, c10::Device device) {
  return options.slots > 0 ? options.slots : device.is_cpu() ? 1 : 2;
}

c10::ScalarType ScalarType(const std::string& dtype) {
  if (dtype == "bf16") return at::kBFloat16;
  return dtype == "fp16" ? at::kHalf : at::kFloat;
}

class TorchModel final : public Model {
 public:
  // Throws what LibTorch throws.
  TorchModel(const ModelOptions& options, ModelFile file, std::unique_ptr<TorchProgram> program);
  ~TorchModel() override;

  // Runs every instance at every size, which decides columns(). INVALID_ARGUMENT if the model cannot run or
  // gives another shape.
  absl::Status CheckAndWarm();

  bool any_thread() const override {
    return file_.format == "torchscript" && file_.device == "cpu" && EffectiveIntraOpThreads(options_) == 1;
  }
  int slots() const override { return static_cast<int>(instances_.front().slots.size()); }
  absl::Span<float> Staging(int instance, int slot) override {
    return instances_[instance].slots[slot].staging();
  }
  absl::Status Start(int instance, int slot, int rows) override;
  absl::Status Finish(int instance, int slot, int rows, absl::Span<float> logits) override;

  int columns() const override { return columns_; }
  const ModelOptions& options() const override { return options_; }
  const std::string& format() const override { return file_.format; }
  const std::string& device() const override { return file_.device; }
  const std::string& digest() const override { return file_.digest; }
  std::string note() const override { return program_->note(); }
  std::vector<int> sizes_of_each_thread() const override {
    return device_.is_cpu() ? Model::sizes_of_each_thread() : WarmUpSizes(options_);
  }

 private:
  // What an instance has of its own.
  struct Instance {
    DeviceStreams streams;
    std::vector<DeviceSlot> slots;
  };

  int PaddedRows(int rows) const;
  // The output for the first `rows` rows of a slot, wherever the model left it, in stream order. Throws what
  // LibTorch throws.
  at::Tensor Forward(Instance& instance, int slot, int rows);
  absl::Status CheckShape(c10::IntArrayRef shape, int rows) const;
  // On the calling thread.
  absl::Status Warm(Instance& instance, const std::vector<int>& batch_sizes);
  // Sizes that are no warm-up size, the smallest first, for as long as kOtherSizesBudget.
  absl::Status WarmOtherSizes(const std::vector<int>& warmed);

  // Constant once loaded.
  const ModelOptions options_;
  const ModelFile file_;
  const c10::Device device_;
  std::unique_ptr<TorchProgram> program_;
  std::vector<Instance> instances_;
  int columns_ = 0;
};

TorchModel::TorchModel(const ModelOptions& options, ModelFile file, std::unique_ptr<TorchProgram> program)
    : options_(options), file_(std::move(file)), device_(file_.device), program_(std::move(program)) {
  const int slots = SlotsOf(options_, device_);
  for (int i = 0; i < options_.instances; ++i) {
    Instance& instance = instances_.emplace_back(Instance{DeviceStreams(device_), {}});
    for (int slot = 0; slot < slots; ++slot) {
      instance.slots.emplace_back(device_, ScalarType(options_.dtype),
                                  BatchShape(options_, options_.max_batch_size));
    }
  }
  AskDevice(device_);  // What was made on other streams is there before an instance's own use it.
}

TorchModel::~TorchModel() {
  instances_.clear();
  program_.reset();
  if (device_.is_cpu()) return;
  try {
    // LibTorch keeps what is freed for tensors of the same stream: a package's weights, another process, as
    // that of a trial, or another model's stream could not have it.
    at::accelerator::emptyCache();
  } catch (const std::exception&) {  // The device is lost; whoever uses it next says so.
  }
}

absl::Status TorchModel::Start(int instance, int slot, int rows) try {
  const c10::InferenceMode no_autograd;
  const at::Tensor output = Forward(instances_[instance], slot, rows);
  if (absl::Status shape = CheckShape(output.sizes(), PaddedRows(rows)); !shape.ok())
    return absl::InternalError(shape.message());
  instances_[instance].slots[slot].Download(instances_[instance].streams, output);
  return absl::OkStatus();
} catch (const std::exception& e) {
  return FailedPass(absl::StrCat("the forward pass of ", rows, " rows failed: ", CauseOf(e)), file_.device,
                    [this] { AskDevice(device_); });
}

absl::Status TorchModel::Finish(int instance, int slot, int rows, absl::Span<float> logits) try {
  const c10::InferenceMode no_autograd;
  const absl::Span<float> own = logits.first(static_cast<size_t>(rows) * columns_);
  instances_[instance].slots[slot].Await(own);
  const auto bad = std::find_if(own.begin(), own.end(), [](float logit) { return !std::isfinite(logit); });
  if (bad == own.end()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the logits of row ", (bad - own.begin()) / columns_, " are not finite"));
} catch (const std::exception& e) {
  return FailedPass(absl::StrCat("the forward pass of ", rows, " rows failed: ", CauseOf(e)), file_.device,
                    [this] { AskDevice(device_); });
}

int TorchModel::PaddedRows(int rows) const {
  const std::vector<int>& buckets = options_.batch_buckets;
  const auto bucket = std::lower_bound(buckets.begin(), buckets.end(), rows);
  return bucket == buckets.end() ? rows : *bucket;
}

at::Tensor TorchModel::Forward(Instance& instance, int slot, int rows) {
  UseIntraOpThreads(EffectiveIntraOpThreads(options_));
  const at::Tensor batch = instance.slots[slot].Upload(instance.streams, PaddedRows(rows), rows);
  const c10::StreamGuard computing(instance.streams.compute());
  return program_->Forward(batch);
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

absl::Status TorchModel::Warm(Instance& instance, const std::vector<int>& batch_sizes) {
  const c10::InferenceMode no_autograd;
  for (int rows : batch_sizes) {
    // Both slots: what a device sets up for the first use of a stream or a buffer, it does here.
    for (size_t slot = 0; slot < instance.slots.size(); ++slot) {
      try {
        const at::Tensor output = Forward(instance, static_cast<int>(slot), rows);
        RETURN_IF_ERROR(CheckShape(output.sizes(), PaddedRows(rows)));
        columns_ = static_cast<int>(output.size(1));
        const c10::StreamGuard computing(instance.streams.compute());
        output.to(at::kCPU);  // Waits for the device.
      } catch (const std::exception& e) {
        const absl::Status failed = FailedPass(CauseOf(e), file_.device, [this] { AskDevice(device_); });
        if (absl::IsUnavailable(failed)) return failed;
        return absl::InvalidArgumentError(absl::StrCat("the model cannot run on an input of shape ",
                                                       ShapeText(BatchShape(options_, PaddedRows(rows))),
                                                       ": ", failed.message()));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status TorchModel::CheckAndWarm() {
  const std::vector<int> sizes = WarmUpSizes(options_);
  for (Instance& instance : instances_) {
    absl::Status status;
    std::jthread([&] { status = Warm(instance, sizes); }).join();
    RETURN_IF_ERROR(status);
  }
  if (!options_.batch_buckets.empty()) return absl::OkStatus();
  absl::Status status;
  std::jthread([&] { status = WarmOtherSizes(sizes); }).join();
  return status;
}

absl::Status TorchModel::WarmOtherSizes(const std::vector<int>& warmed) {
  const auto end = std::chrono::steady_clock::now() + kOtherSizesBudget;
  for (int rows = 1; rows < options_.max_batch_size && std::chrono::steady_clock::now() < end; ++rows) {
    if (std::find(warmed.begin(), warmed.end(), rows) != warmed.end()) continue;
    RETURN_IF_ERROR(Warm(instances_.front(), {rows}));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Model>> LoadOnThisThread(const ModelOptions& options,
                                                        const ModelFile& file) try {
  const c10::Device device(file.device);
  UseIntraOpThreads(EffectiveIntraOpThreads(options));
  absl::StatusOr<std::unique_ptr<TorchProgram>> program =
      file.format == "aotinductor"
          ? LoadAotInductor(options.path, device, options.instances * SlotsOf(options, device))
          : LoadTorchScript(options.path, device, ScalarType(options.dtype),
                            BatchShape(options, std::min(2, options.max_batch_size)));
  if (!program.ok()) {
    const absl::Status lost =
        FailedPass(std::string(program.status().message()), file.device, [&device] { AskDevice(device); });
    return absl::IsUnavailable(lost) ? lost : program.status();
  }
  auto model = std::make_unique<TorchModel>(options, file, *std::move(program));
  RETURN_IF_ERROR(model->CheckAndWarm());
  return model;
} catch (const std::exception& e) {
  return FailedPass(absl::StrCat("LibTorch cannot prepare the model for ", file.device, ": ", CauseOf(e)),
                    file.device, [&file] { AskDevice(c10::Device(file.device)); });
}

}  // namespace

std::string PackageDevice(const std::string& path) try {
  return torch::inductor::AOTIModelPackageLoader::load_metadata_from_package(
      path, kModelInPackage)["AOTI_DEVICE_KEY"];
} catch (const std::exception&) {  // Whoever loads it says what is wrong.
  return "";
}

absl::StatusOr<std::unique_ptr<Model>> LoadTorchModel(const ModelOptions& options,
                                                      const ModelFile& file) try {
  // Each thread that LibTorch computes on keeps its own OpenMP team, and once there are more OpenMP threads
  // than cores every team waits in the kernel instead of spinning: the demo model's batch 1 took 0.9 ms
  // instead of 0.15 on two cores. So loading computes on a thread that ends, and its team with it.
  absl::StatusOr<std::unique_ptr<Model>> model;
  std::jthread([&] { model = LoadOnThisThread(options, file); }).join();
  return model;
} catch (const std::system_error& e) {
  return absl::ResourceExhaustedError(
      absl::StrCat("there is no thread to load the model on: ", e.what(),
                   "; the limits are those of ulimit -u and of the container's pids"));
}

}  // namespace calserve
