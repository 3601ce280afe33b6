#ifndef CALSERVE_SERVER_MODEL_TORCH_PROGRAM_H_
#define CALSERVE_SERVER_MODEL_TORCH_PROGRAM_H_

#include <ATen/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace torch::jit {
struct Module;
}

namespace calserve {

// A model file as a function from a batch to its logits. One copy of the weights, whatever the number of
// callers.
class TorchProgram {
 public:
  virtual ~TorchProgram() = default;

  // N×(input shape) on the program's device to whatever the model gives. Under c10::InferenceMode; up to
  // `runs` calls under way at once, each on its thread's current stream. Throws what LibTorch throws.
  virtual at::Tensor Forward(const at::Tensor& batch) = 0;

  // What whoever runs the server should know of how it is run; empty where that is as usual.
  virtual std::string note() const { return {}; }
};

// Both: INVALID_ARGUMENT for a file that is not a model of that format or not for this device and machine.

// Its weights as `dtype`, frozen, and on the CPU rewritten for oneDNN, unless that gives other logits for a
// batch of `batch_shape` or cannot run: then as it was frozen, with a note.
absl::StatusOr<std::unique_ptr<TorchProgram>> LoadTorchScript(const std::string& path, c10::Device device,
                                                              c10::ScalarType dtype,
                                                              const std::vector<int64_t>& batch_shape);
// What it computes in was decided when it was compiled. Unpacks to a temporary folder for as long as the
// program lives (under TMPDIR, which must not be mounted noexec).
absl::StatusOr<std::unique_ptr<TorchProgram>> LoadAotInductor(const std::string& path, c10::Device device,
                                                              int runs);

// Has every convolution of a traced module computed in full float32 on a GPU: tracing writes down whether
// TF32 was allowed then, 10 bits of each operand, and what is asked for now does not matter. Before it first
// runs.
void ForbidTf32(torch::jit::Module& module);

// What LibTorch says is wrong, on one line, without its backtrace and without TorchScript's.
std::string CauseOf(const std::exception& e);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_TORCH_PROGRAM_H_
