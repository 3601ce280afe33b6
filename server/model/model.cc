#include "server/model/model.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <mutex>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/logging/log.h"
#include "server/model/archive_check.h"
#include "server/model/file_digest.h"
#include "server/model/torch_device.h"
#include "server/model/torch_model.h"
#include "server/model/unpacking_folder.h"

namespace calserve {
namespace {

absl::Status CheckOptions(const ModelOptions& options) {
  const auto at_least_one = [](const char* name, int value) {
    if (value >= 1) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(name, " must be >= 1; was ", value));
  };
  RETURN_IF_ERROR(at_least_one("instances", options.instances));
  RETURN_IF_ERROR(at_least_one("max_batch_size", options.max_batch_size));
  if (options.classes < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("a model has at least 2 labels; this one has ", options.classes));
  }
  if (options.dtype != "fp32" && options.dtype != "bf16" && options.dtype != "fp16") {
    return absl::InvalidArgumentError(
        absl::StrCat("dtype must be fp32 | bf16 | fp16; was \"", options.dtype, "\""));
  }
  const std::vector<int>& buckets = options.batch_buckets;
  const bool ascending = std::is_sorted(buckets.begin(), buckets.end(), std::less_equal<>());
  if (!buckets.empty() && (!ascending || buckets.front() < 1 || buckets.back() != options.max_batch_size)) {
    return absl::InvalidArgumentError(
        absl::StrCat("batch_buckets must be ascending, from 1 at least to max_batch_size, ",
                     options.max_batch_size, "; were [", absl::StrJoin(buckets, ", "), "]"));
  }
  const std::vector<int64_t>& shape = options.input_shape;
  if (std::any_of(shape.begin(), shape.end(), [](int64_t size) { return size < 1; })) {
    return absl::InvalidArgumentError(
        absl::StrCat("every dimension of the input must be >= 1; was [", absl::StrJoin(shape, ", "), "]"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> FormatOf(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(absl::StrCat("there is no model file ", path));
  }
  if (absl::EndsWith(path, ".pt2")) return "aotinductor";
  if (absl::EndsWith(path, ".pt")) return "torchscript";
  return absl::InvalidArgumentError(
      absl::StrCat("a model file is named .pt2 (AOTInductor) or .pt (TorchScript); this one is ", path));
}

absl::StatusOr<std::string> ChooseDevice(const std::string& asked) {
  if (asked != "auto") return ResolveDevice(asked);
  absl::StatusOr<std::string> gpu = ResolveDevice("cuda");
  if (gpu.ok()) return gpu;
  static std::once_flag logged;
  std::call_once(logged, [&gpu] {
    LogInfo("device", {{"device", "cpu"}, {"asked", "auto"}, {"reason", gpu.status().message()}});
  });
  return "cpu";
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> LoadModel(const ModelOptions& options) {
  static Mutex* const one_at_a_time = new Mutex;
  MutexLock lock(one_at_a_time);
  RETURN_IF_ERROR(CheckOptions(options));
  ModelFile file;
  ASSIGN_OR_RETURN(file.format, FormatOf(options.path));
  if (file.format == "aotinductor" && options.dtype != "fp32") {
    return absl::InvalidArgumentError(absl::StrCat(
        options.path, " was compiled for a data type of its own: leave dtype out; was ", options.dtype));
  }
  RETURN_IF_ERROR(CheckArchive(options.path));
  if (file.format == "aotinductor") {
    RETURN_IF_ERROR(MakeUnpackingFolderAgain());
    RETURN_IF_ERROR(CheckRoomToUnpack(options.path));
  }
  const bool of_package = options.device == "auto" && file.format == "aotinductor";
  const std::string compiled_for = of_package ? PackageDevice(options.path) : "";
  ASSIGN_OR_RETURN(file.device, ChooseDevice(compiled_for.empty() ? options.device : compiled_for));
  ASSIGN_OR_RETURN(file.digest, FileDigest(options.path));
  Unpacking unpacking;
  absl::StatusOr<std::unique_ptr<Model>> model = LoadTorchModel(options, file);
  if (!model.ok() && file.format == "aotinductor") return unpacking.Failed(model.status());
  return model;
}

}  // namespace calserve
