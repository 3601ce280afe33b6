#ifndef CALSERVE_SERVER_CONFIG_MODEL_CONFIG_H_
#define CALSERVE_SERVER_CONFIG_MODEL_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/batching/batcher.h"
#include "server/imaging/image_input_spec.h"

namespace calserve {

enum class Task { kMulticlass, kBinary };
enum class InputKind { kImage, kTensor };

// A model directory as it stands on disk: model.yaml, labels.txt and the versions. A value.
struct ModelConfig {
  // A folder VERSION/ of the model directory.
  struct Version {
    int64_t version = 0;          // >= 1
    std::string model_path;       // model.pt2 or model.pt
    std::string calibrator_path;  // calibrator.json; empty where none is shipped
  };

  std::string name;       // of the directory
  std::string directory;  // its path
  Task task = Task::kMulticlass;
  InputKind kind = InputKind::kImage;
  ImageInputSpec image;              // for kImage
  std::vector<int64_t> input_shape;  // of one input, without batch dimension; for images C, H, W
  std::vector<std::string> labels;   // K >= 2 class names, unique; exactly 2 where task is kBinary
  BatchingOptions batching;
  int intra_op_threads = 0;        // in one forward pass; 0: the server's
  std::string device = "auto";     // cpu | cuda | cuda:N | auto
  std::vector<Version> versions;   // at least one, the newest last
  std::vector<std::string> notes;  // what in the directory was ignored, a sentence each
};

// Reads the model in `directory`. `defaults` holds for what model.yaml leaves out. NOT_FOUND names the file
// that is missing; INVALID_ARGUMENT has FILE:LINE, the key, the value and what is allowed.
absl::StatusOr<ModelConfig> ReadModelConfig(const std::string& directory, const BatchingOptions& defaults);

// Every model of a repository, by name. Each folder in it is a model; files, and names that start with a dot,
// are not. The first model that is wrong is the error; so is a repository without a model.
absl::StatusOr<std::map<std::string, ModelConfig>> ScanModelRepository(const std::string& directory,
                                                                       const BatchingOptions& defaults);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_MODEL_CONFIG_H_
