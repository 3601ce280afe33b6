#ifndef CALSERVE_TESTS_BENCHMARKS_LOAD_SAVED_MODULE_H_
#define CALSERVE_TESTS_BENCHMARKS_LOAD_SAVED_MODULE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace calserve::load {

// A TorchScript file as LibTorch alone runs it on the CPU: loaded, put into evaluation, its forward called.
// calserve-server freezes and rewrites it first. One thread at a time an instance.
class SavedModule {
 public:
  // Throws what LibTorch throws. `instances` share the weights.
  SavedModule(const std::string& path, const std::vector<int64_t>& input_shape, int instances,
              int max_batch_size, int intra_op_threads);
  ~SavedModule();

  int columns() const { return columns_; }  // logits a row
  // Of the first rows of the next forward pass: max_batch_size × product(input_shape).
  absl::Span<float> Staging(int instance);
  // Writes rows × columns() logits; INTERNAL for what LibTorch throws.
  absl::Status Run(int instance, int rows, absl::Span<float> logits);

 private:
  struct Loaded;  // LibTorch's headers stay in the .cc

  const std::vector<int64_t> input_shape_;
  const int intra_op_threads_;
  std::unique_ptr<Loaded> loaded_;
  std::vector<std::vector<float>> staging_;  // one an instance
  int columns_ = 0;
};

}  // namespace calserve::load

#endif  // CALSERVE_TESTS_BENCHMARKS_LOAD_SAVED_MODULE_H_
