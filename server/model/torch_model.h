#ifndef CALSERVE_SERVER_MODEL_TORCH_MODEL_H_
#define CALSERVE_SERVER_MODEL_TORCH_MODEL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/model/model.h"

namespace calserve {

// A model file that model.cc has found, and what it knows of it.
struct ModelFile {
  std::string format;  // "torchscript" or "aotinductor"
  std::string digest;
  std::string device;  // resolved: "cpu", "cuda:0"
};

// What an AOTInductor package was compiled for, "cpu" or "cuda"; empty where it does not say.
std::string PackageDevice(const std::string& path);

// LoadModel without the checks that need no LibTorch. Not thread-safe: one at a time in a process, since
// constructing AOTInductor loaders at once is not safe.
absl::StatusOr<std::unique_ptr<Model>> LoadTorchModel(const ModelOptions& options, const ModelFile& file);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_TORCH_MODEL_H_
