#ifndef CALSERVE_SERVER_MODEL_MODEL_H_
#define CALSERVE_SERVER_MODEL_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace calserve {

// What one model version is to be loaded with.
struct ModelOptions {
  std::string name;
  int64_t version = 0;
  std::string path;                  // the .pt2 or .pt file
  std::vector<int64_t> input_shape;  // of one input, without batch dimension; FLOAT32
  int classes = 0;              // lines of labels.txt; the model gives so many logits, or 1 where it is 2
  std::string device = "auto";  // cpu | cuda | cuda:N | auto (cuda where there is one, else cpu, and logged)
  int instances = 1;            // concurrent forward passes; one copy of the weights
  int intra_op_threads = 0;     // LibTorch's in one forward pass; 0: as SetIntraOpThreads says
  int max_batch_size = 32;      // rows of one forward pass
};

// One loaded, checked and warmed model version: `instances` slots that each run one batch at a time and share
// the weights. Plain header: torch stays in this room's .cc files.
class Model {
 public:
  virtual ~Model() = default;

  // Where the rows of the next batch of `instance` are written: max_batch_size × product(input_shape) floats,
  // row-major, pinned where the device wants it.
  virtual absl::Span<float> Staging(int instance) = 0;
  // Runs the first `rows` rows of the staging buffer and writes rows × columns() logits. One thread at a time
  // an instance; different instances run at once. INTERNAL for a failed forward pass; DATA_LOSS names the row
  // whose logits are not finite (the other rows are written).
  virtual absl::Status Run(int instance, int rows, absl::Span<float> logits) = 0;

  virtual int columns() const = 0;  // logits a row: classes, or 1 for a single-logit binary model
  virtual const ModelOptions& options() const = 0;
  virtual const std::string& format() const = 0;  // "torchscript" or "aotinductor"
  virtual const std::string& device() const = 0;  // "cpu", "cuda:0"
  virtual const std::string& digest() const = 0;  // SHA-256 of the model file, hex
};

// Loads, checks the output's shape against `classes`, and warms every instance at 1, 2, 4, … and
// max_batch_size rows, and one of them at the sizes between for half a second at most. NOT_FOUND for a
// missing file; INVALID_ARGUMENT for one that is not a model, gives another shape, or was made for another
// device or instruction set (names both); FAILED_PRECONDITION for a device that is not there. Calls are
// serialised.
absl::StatusOr<std::unique_ptr<Model>> LoadModel(const ModelOptions& options);

// LibTorch's intra-op threads for the models that do not say. Once, before the first LoadModel. 1 <= threads.
void SetIntraOpThreads(int threads);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_MODEL_H_
