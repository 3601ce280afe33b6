#ifndef CALSERVE_SERVER_CONFIG_MODEL_CONFIG_H_
#define CALSERVE_SERVER_CONFIG_MODEL_CONFIG_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "calibration/calibration_alarm.h"
#include "server/batching/batcher.h"
#include "server/imaging/image_input_spec.h"
#include "server/model/version_policy.h"
#include "server/monitoring/slice_keys.h"
#include "server/prediction/tensor_names.h"
#include "server/recalibration/refit_policy.h"

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
    std::string warmup_path;  // the folder of warm-up samples, its own or the model's; empty where none is
    std::string files;        // FolderFingerprint: differs when a reload is due
    std::string read_files;   // of those of them that a load reads, beside the settings
    absl::Status problem;     // why it cannot be loaded; the paths are empty then
  };

  std::string name;       // of the directory
  std::string directory;  // its path
  Task task = Task::kMulticlass;
  InputKind kind = InputKind::kImage;
  ImageInputSpec image;              // for kImage
  std::vector<int64_t> input_shape;  // of one input, without batch dimension; for images C, H, W
  std::vector<std::string> labels;   // K >= 2 class names, unique; exactly 2 where task is kBinary
  BatchingOptions batching;          // instances = 0: auto
  int intra_op_threads = 0;          // in one forward pass; 0: the server's
  std::string device = "auto";       // cpu | cuda | cuda:N | auto
  std::string dtype = "fp32";        // fp32 | bf16 | fp16: what the model computes in
  std::vector<int> batch_buckets;    // ascending, the last is max_batch_size; empty: any number of rows
  AlarmOptions alarm;
  TensorNames tensor_names;
  SliceKeys attributes;  // what predictions may carry; labels are counted by them
  RefitPolicy refit;
  VersionPolicy policy;
  VersionRouting routing;
  std::vector<Version> versions;  // of every numbered folder, the newest last
  std::string settings;           // what every version depends on, as text: differs when a reload is due
  bool loadable = true;  // for a look (--check): labels.txt and the keys that it is loaded with are right
  std::vector<std::string> notes;  // what in the directory was ignored, a sentence each

  // Null if there is no such folder.
  const Version* Find(int64_t version) const;
  std::set<int64_t> Wanted() const;
};

// The version that a folder of this name in a model directory is; none where it is not a whole number from 1,
// without a leading zero.
std::optional<int64_t> VersionOfFolder(const std::string& folder);

// What a directory holds: as much as could be read, and what is wrong with all of it: nothing, or no version
// of it may be loaded. What is wrong with one version is in Version::problem.
struct ModelDirectory {
  ModelConfig config;
  std::vector<absl::Status> problems;
};

// Reads the model in `directory`. `defaults` holds for what model.yaml leaves out.
ModelDirectory ReadModelDirectory(const std::string& directory, const BatchingOptions& defaults);

// Every model of a repository, by name. Each folder in it is a model; files, and names that start with a dot,
// are not, nor is a folder without model.yaml whose name no model can have. NOT_FOUND where the repository
// itself cannot be read.
absl::StatusOr<std::map<std::string, ModelDirectory>> ReadModelRepository(const std::string& directory,
                                                                          const BatchingOptions& defaults);

// The same where everything must be right, wanted or not: the first thing that is wrong is the error, and so
// is a repository without a model. NOT_FOUND names the file that is missing; INVALID_ARGUMENT has FILE:LINE,
// the key, the value and what is allowed.
absl::StatusOr<ModelConfig> ReadModelConfig(const std::string& directory, const BatchingOptions& defaults);
absl::StatusOr<std::map<std::string, ModelConfig>> ScanModelRepository(const std::string& directory,
                                                                       const BatchingOptions& defaults);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_MODEL_CONFIG_H_
