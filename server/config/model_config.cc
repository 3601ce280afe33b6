#include "server/config/model_config.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/base/status_macros.h"
#include "server/config/labels.h"
#include "server/config/mapping_reader.h"
#include "server/config/text_file.h"

namespace calserve {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxBatchSize = 65536;
constexpr int kMaxInstances = 256;
constexpr int kMaxIntraOpThreads = 1024;
constexpr int64_t kMaxInputSize = int64_t{1} << 30;  // floats of one input; above it lies a typing error

// [height, width].
std::optional<ImageSize> ReadSize(MappingReader* reader, absl::string_view key) {
  std::vector<int64_t> sides;
  reader->Integers(key, 1, ImageInputSpec::kMaxSide, &sides);
  if (sides.empty()) return std::nullopt;
  if (sides.size() != 2) {
    reader->Fail(key, absl::StrCat("must be [height, width]; has ", sides.size(), " numbers"));
    return std::nullopt;
  }
  return ImageSize{static_cast<int>(sides[0]), static_cast<int>(sides[1])};
}

void ReadImageInput(MappingReader* reader, ImageInputSpec* spec) {
  reader->Require("size");
  if (const std::optional<ImageSize> size = ReadSize(reader, "size")) {
    spec->height = size->height;
    spec->width = size->width;
  }
  reader->Choice<Color>("color", {{"grey", Color::kGrey}, {"rgb", Color::kRgb}, {"bgr", Color::kBgr}},
                        &spec->color);
  reader->Choice<Transform>("transform",
                            {{"torchvision", Transform::kTorchvision}, {"opencv", Transform::kOpenCv}},
                            &spec->transform);
  // One number: the shorter edge. Two: exactly that size.
  if (const YamlValue* const resize = reader->Find("resize");
      resize != nullptr && resize->list() != nullptr) {
    spec->resize_exact = ReadSize(reader, "resize");
  } else if (resize != nullptr) {
    reader->Integer("resize", 1, ImageInputSpec::kMaxSide, &spec->resize_shorter.emplace());
  }
  reader->Choice<Crop>("crop", {{"center", Crop::kCenter}, {"none", Crop::kNone}}, &spec->crop);
  reader->Choice<Interpolation>("interpolation",
                                {{"bilinear", Interpolation::kBilinear},
                                 {"bicubic", Interpolation::kBicubic},
                                 {"nearest", Interpolation::kNearest},
                                 {"area", Interpolation::kArea}},
                                &spec->interpolation);
  reader->Boolean("scale", &spec->scale_to_unit);
  reader->Numbers("mean", &spec->mean);
  reader->Numbers("std", &spec->std);
}

void ReadTensorInput(MappingReader* reader, std::vector<int64_t>* shape) {
  reader->Require("shape");
  reader->Integers("shape", 1, 1 << 30, shape);
  if (reader->Find("shape") != nullptr && shape->empty())
    reader->Fail("shape", "must have at least one dimension");
  int64_t size = 1;
  for (const int64_t dimension : *shape) {
    if (dimension > kMaxInputSize / size) {
      return reader->Fail("shape", absl::StrCat("must have at most ", kMaxInputSize, " values in all"));
    }
    size *= dimension;
  }
}

absl::Status ReadInput(const std::string& path, const YamlValue& input, ModelConfig* config) {
  MappingReader reader(path, "input", input);
  reader.Require("kind");
  reader.Choice<InputKind>("kind", {{"image", InputKind::kImage}, {"tensor", InputKind::kTensor}},
                           &config->kind);
  if (config->kind == InputKind::kTensor) {
    ReadTensorInput(&reader, &config->input_shape);
    return reader.Finish();
  }
  ReadImageInput(&reader, &config->image);
  RETURN_IF_ERROR(reader.Finish());
  if (const absl::Status valid = config->image.Validate(); !valid.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ":", input.line, ": input.", valid.message()));
  }
  config->input_shape = {config->image.channels(), config->image.height, config->image.width};
  return absl::OkStatus();
}

bool IsDevice(absl::string_view device) {
  int index = 0;
  if (absl::ConsumePrefix(&device, "cuda:")) {
    return !device.empty() && absl::c_all_of(device, absl::ascii_isdigit) && absl::SimpleAtoi(device, &index);
  }
  return device == "cpu" || device == "cuda" || device == "auto";
}

absl::Status ReadModelYaml(const std::string& path, ModelConfig* config) {
  ASSIGN_OR_RETURN(const YamlValue root, ReadYamlFile(path));
  MappingReader reader(path, "", root);
  reader.Require("task");
  reader.Choice<Task>("task", {{"multiclass", Task::kMulticlass}, {"binary", Task::kBinary}}, &config->task);
  reader.Integer("max_batch_size", 1, kMaxBatchSize, &config->batching.max_batch_size);
  reader.Duration("max_queue_delay", absl::Seconds(10), &config->batching.max_queue_delay);
  reader.Integer("instances", 1, kMaxInstances, &config->batching.instances);
  reader.Integer("intra_op_threads", 0, kMaxIntraOpThreads, &config->intra_op_threads);
  reader.Text("device", &config->device);
  if (!IsDevice(config->device)) {
    reader.Fail("device", absl::StrCat("must be cpu | cuda | cuda:N | auto; was \"", config->device, "\""));
  }
  if (config->batching.max_batch_size > config->batching.max_queue_rows) {
    reader.Fail("max_batch_size",
                absl::StrCat("must be at most batching.max_queue_rows of the server, ",
                             config->batching.max_queue_rows, "; was ", config->batching.max_batch_size));
  }
  reader.Require("input");
  const YamlValue* const input = reader.Find("input");
  RETURN_IF_ERROR(reader.Finish());
  return ReadInput(path, *input, config);
}

// A version is a whole number from 1 without a leading zero.
std::optional<int64_t> VersionOf(const std::string& folder) {
  int64_t version = 0;
  if (folder.empty() || folder[0] == '0' || !absl::c_all_of(folder, absl::ascii_isdigit) ||
      !absl::SimpleAtoi(folder, &version)) {
    return std::nullopt;
  }
  return version;
}

absl::StatusOr<ModelConfig::Version> ReadVersion(const fs::path& folder, int64_t version) {
  const fs::path packaged = folder / "model.pt2", scripted = folder / "model.pt",
                 calibrator = folder / "calibrator.json";
  if (fs::exists(packaged) && fs::exists(scripted)) {
    return absl::InvalidArgumentError(absl::StrCat(
        folder.string(), " holds both model.pt2 and model.pt; remove the one that is not to be served"));
  }
  if (!fs::exists(packaged) && !fs::exists(scripted)) {
    return absl::NotFoundError(absl::StrCat(folder.string(), " holds neither model.pt2 nor model.pt"));
  }
  return ModelConfig::Version{version, (fs::exists(packaged) ? packaged : scripted).string(),
                              fs::exists(calibrator) ? calibrator.string() : ""};
}

// What is in a directory, by name, but for names that start with a dot.
absl::StatusOr<std::vector<fs::directory_entry>> List(const std::string& directory) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator next(directory, error), end; !error && next != end; next.increment(error)) {
    if (!absl::StartsWith(next->path().filename().string(), ".")) entries.push_back(*next);
  }
  if (error)
    return absl::NotFoundError(absl::StrCat("cannot read the directory ", directory, ": ", error.message()));
  std::sort(entries.begin(), entries.end());
  return entries;
}

absl::Status ReadVersions(ModelConfig* config) {
  ASSIGN_OR_RETURN(const std::vector<fs::directory_entry> entries, List(config->directory));
  for (const fs::directory_entry& entry : entries) {
    if (!entry.is_directory()) continue;
    const std::string folder = entry.path().filename().string();
    const std::optional<int64_t> number = VersionOf(folder);
    if (!number) {
      config->notes.push_back(absl::StrCat(entry.path().string(),
                                           " is ignored: a version is a whole number from 1, "
                                           "without a leading zero"));
      continue;
    }
    ASSIGN_OR_RETURN(ModelConfig::Version version, ReadVersion(entry.path(), *number));
    config->versions.push_back(std::move(version));
  }
  if (config->versions.empty()) {
    return absl::NotFoundError(absl::StrCat(config->directory, " holds no version: expected ",
                                            config->directory, "/1/model.pt2 or ", config->directory,
                                            "/1/model.pt"));
  }
  absl::c_sort(config->versions, [](const auto& a, const auto& b) { return a.version < b.version; });
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelConfig> ReadModelConfig(const std::string& directory, const BatchingOptions& defaults) {
  const fs::path path = fs::path(directory).lexically_normal();
  ModelConfig config;
  config.name = (path.has_filename() ? path : path.parent_path()).filename().string();
  config.directory = directory;
  config.batching = defaults;
  if (!absl::c_all_of(config.name,
                      [](char c) { return absl::ascii_isalnum(c) || absl::StrContains("_-.", c); })) {
    return absl::InvalidArgumentError(
        absl::StrCat(directory, ": a model's name has letters, digits, '_', '-' and '.' only"));
  }
  RETURN_IF_ERROR(ReadModelYaml((path / "model.yaml").string(), &config));
  const std::string labels = (path / "labels.txt").string();
  ASSIGN_OR_RETURN(config.labels, ReadLabels(labels));
  if (config.task == Task::kBinary && config.labels.size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(labels, " must have 2 labels for task: binary; has ", config.labels.size()));
  }
  RETURN_IF_ERROR(ReadVersions(&config));
  return config;
}

absl::StatusOr<std::map<std::string, ModelConfig>> ScanModelRepository(const std::string& directory,
                                                                       const BatchingOptions& defaults) {
  ASSIGN_OR_RETURN(const std::vector<fs::directory_entry> entries, List(directory));
  std::map<std::string, ModelConfig> models;
  for (const fs::directory_entry& entry : entries) {
    if (!entry.is_directory()) continue;
    ASSIGN_OR_RETURN(ModelConfig model, ReadModelConfig(entry.path().string(), defaults));
    models.emplace(model.name, std::move(model));
  }
  if (models.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no model in ", directory, ": expected ", directory, "/NAME/model.yaml"));
  }
  return models;
}

}  // namespace calserve
