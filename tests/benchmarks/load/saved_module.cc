#include "tests/benchmarks/load/saved_module.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <utility>

namespace calserve::load {

struct SavedModule::Loaded {
  torch::jit::Module module;

  at::Tensor Forward(std::vector<float>& rows_of_input, const std::vector<int64_t>& input_shape, int rows) {
    const c10::InferenceMode no_autograd;
    std::vector<int64_t> shape = {rows};
    shape.insert(shape.end(), input_shape.begin(), input_shape.end());
    return module.forward({at::from_blob(rows_of_input.data(), shape, at::kFloat)}).toTensor().contiguous();
  }
};

SavedModule::SavedModule(const std::string& path, const std::vector<int64_t>& input_shape, int instances,
                         int max_batch_size, int intra_op_threads)
    : input_shape_(input_shape),
      intra_op_threads_(intra_op_threads),
      loaded_(std::make_unique<Loaded>(Loaded{torch::jit::load(path, c10::Device("cpu"))})) {
  loaded_->module.eval();
  size_t row = 1;
  for (const int64_t dimension : input_shape_) row *= static_cast<size_t>(dimension);
  staging_.assign(instances, std::vector<float>(row * max_batch_size));
  columns_ = static_cast<int>(loaded_->Forward(staging_.front(), input_shape_, 1).numel());
}

SavedModule::~SavedModule() = default;

absl::Span<float> SavedModule::Staging(int instance) { return absl::MakeSpan(staging_[instance]); }

absl::Status SavedModule::Run(int instance, int rows, absl::Span<float> logits) try {
  thread_local int threads = 0;  // LibTorch's setting is of the thread that calls, and some of the process.
  if (threads != intra_op_threads_) {
    static std::mutex one_at_a_time;
    const std::lock_guard<std::mutex> lock(one_at_a_time);
    at::set_num_threads(threads = intra_op_threads_);
  }
  const at::Tensor output = loaded_->Forward(staging_[instance], input_shape_, rows);
  std::copy_n(output.const_data_ptr<float>(), std::min<size_t>(output.numel(), logits.size()),
              logits.begin());
  return absl::OkStatus();
} catch (const std::exception& e) {
  return absl::InternalError(e.what());
}

}  // namespace calserve::load
