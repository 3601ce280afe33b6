#include "server/config/model_yaml.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "server/config/attribute_keys.h"
#include "server/config/mapping_reader.h"
#include "server/config/values.h"
#include "server/config/version_keys.h"
#include "server/config/yaml_file.h"

namespace calserve {
namespace {

constexpr int kMaxBatchSize = 65536;
constexpr int kMaxQueueRows = 10'000'000;
constexpr int64_t kLeastQueueBytes = 1 << 10;
constexpr int64_t kMostQueueBytes = int64_t{64} << 30;
constexpr int kMaxPriorityLevels = 16;
constexpr int kMaxInstances = 256;
constexpr int kMaxIntraOpThreads = 1024;
constexpr size_t kMaxTensorName = 128;
constexpr int kLeastRefitLabels = 100;  // so that both halves can support a fit and a judgement
constexpr int kMostRefitLabels = 1'000'000;
constexpr absl::Duration kMostRefitPause = absl::Hours(24 * 365);
constexpr int64_t kMaxInputSize = int64_t{1} << 30;  // floats of one input; above it lies a typing error

// [height, width].
std::optional<ImageSize> ReadSize(MappingReader* reader, absl::string_view key) {
  std::vector<int64_t> sides;
  reader->Integers(key, 1, ImageInputSpec::kMaxSide, &sides);
  if (reader->Find(key) == nullptr || !reader->IsRight(key)) return std::nullopt;
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

// Those rules that are about values that are right.
void FailProblems(const std::vector<ImageInputSpec::Problem>& problems, MappingReader* reader) {
  std::vector<const ImageInputSpec::Problem*> found;
  for (const ImageInputSpec::Problem& problem : problems) {
    if (absl::c_all_of(problem.keys, [&](absl::string_view key) { return reader->IsRight(key); })) {
      found.push_back(&problem);
    }
  }
  for (const ImageInputSpec::Problem* problem : found) reader->Fail(problem->keys[0], problem->what);
}

void ReadTensorInput(MappingReader* reader, std::vector<int64_t>* shape) {
  reader->Require("shape");
  reader->Integers("shape", 1, 1 << 30, shape);
  if (reader->Find("shape") == nullptr || !reader->IsRight("shape")) return;
  if (shape->empty()) reader->Fail("shape", "must have at least one dimension");
  int64_t size = 1;
  for (const int64_t dimension : *shape) {
    if (dimension > kMaxInputSize / size) {
      return reader->Fail("shape", absl::StrCat("must have at most ", kMaxInputSize, " values in all"));
    }
    size *= dimension;
  }
}

using Problems = std::vector<absl::Status>;

void Append(Problems more, Problems* problems) {
  problems->insert(problems->end(), more.begin(), more.end());
}

void ReadInput(const std::string& path, const YamlValue& input, ModelConfig* config, Problems* problems) {
  MappingReader reader(path, "input", input);
  reader.Require("kind");
  reader.Choice<InputKind>("kind", {{"image", InputKind::kImage}, {"tensor", InputKind::kTensor}},
                           &config->kind);
  if (config->kind == InputKind::kTensor) {
    ReadTensorInput(&reader, &config->input_shape);
    return Append(reader.Problems(), problems);
  }
  ReadImageInput(&reader, &config->image);
  FailProblems(config->image.Problems(), &reader);
  Append(reader.Problems(), problems);
  config->input_shape = {config->image.channels(), config->image.height, config->image.width};
}

void ReadTensorNames(const std::string& path, const YamlValue& value, TensorNames* names,
                     Problems* problems) {
  MappingReader reader(path, "tensor_names", value);
  std::pair<const char*, std::string*> keys[] = {{"input", &names->input},
                                                 {"probabilities", &names->probabilities},
                                                 {"logits", &names->logits},
                                                 {"ticket", &names->ticket},
                                                 {"prediction_id", &names->prediction_id}};
  std::map<std::string, const char*> outputs;  // keys by name
  for (const auto& [key, name] : keys) {
    reader.Text(key, name);
    if (name->empty() || name->size() > kMaxTensorName || !absl::c_all_of(*name, absl::ascii_isgraph)) {
      reader.Fail(key, absl::StrCat("must be 1 to ", kMaxTensorName,
                                    " printable ASCII characters without a space; was \"", *name, "\""));
    }
    if (name == &names->input) continue;
    const auto [same, is_new] = outputs.emplace(*name, key);
    // A name that was given may be one that another output has by default.
    const bool given = reader.Find(key) != nullptr;
    if (!is_new) {
      reader.Fail(given ? key : same->second,
                  absl::StrCat("must not be as that of ", given ? same->second : key, ", \"", *name, "\""));
    }
  }
  Append(reader.Problems(), problems);
}

void ReadAlarm(const std::string& path, const YamlValue& value, AlarmOptions* alarm, Problems* problems) {
  MappingReader reader(path, "alarm", value);
  reader.Number("tolerance", 0, GapProcess::kMaxTolerance, &alarm->tolerance);
  reader.Number("alpha", kLeastAlarmAlpha, kMostAlarmAlpha, &alarm->alpha);
  Append(reader.Problems(), problems);
}

void ReadRefit(const std::string& path, const YamlValue& value, RefitPolicy* refit, Problems* problems) {
  using On = RefitPolicy::On;
  MappingReader reader(path, "refit", value);
  reader.Require("on");
  reader.Choice<On>(
      "on",
      {{"never", On::kNever}, {"alarm", On::kAlarm}, {"every", On::kEvery}, {"schedule", On::kSchedule}},
      &refit->on);
  reader.Integer("every", kLeastRefitLabels, kMostRefitLabels, &refit->every);
  reader.Duration("schedule", kMostRefitPause, &refit->schedule);
  if (refit->schedule < absl::Minutes(1)) {
    reader.Fail("schedule", absl::StrCat("must be at least 1m; was ", absl::FormatDuration(refit->schedule)));
  }
  // never is a policy put to rest: its keys may stay.
  for (const auto& [key, on] : {std::pair("every", On::kEvery), std::pair("schedule", On::kSchedule)}) {
    if (reader.Find(key) == nullptr || refit->on == on || refit->on == On::kNever) continue;
    reader.Fail(key,
                absl::StrCat("counts only with refit.on: ", key, "; that is ", *reader.Find("on")->scalar()));
  }
  reader.Integer("least_labels", kLeastRefitLabels, kMostRefitLabels, &refit->least_labels);
  reader.Number("holdout", 0.1, 0.9, &refit->holdout);
  reader.Number("alpha", kLeastAlarmAlpha, kMostAlarmAlpha, &refit->alpha);
  reader.Number("guard", 0, 1, &refit->guard);
  reader.Duration("cooldown", kMostRefitPause, &refit->cooldown);
  reader.Boolean("rollback", &refit->rollback);
  std::string method = MethodName(refit->method);
  reader.Text("method", &method);
  const absl::StatusOr<CalibrationMethod> parsed = ParseMethod(method);
  if (!parsed.ok() || *parsed == CalibrationMethod::kNone) {
    reader.Fail("method", absl::StrCat("must be a method that is fitted, as temperature or auto; was \"",
                                       method, "\""));
  } else {
    refit->method = *parsed;
  }
  Append(reader.Problems(), problems);
}

// max_queue_rows defaults to batching's, or to the largest batch where that is more.
void ReadQueueKeys(MappingReader* reader, BatchingOptions* batching) {
  reader->Integer("max_batch_size", 1, kMaxBatchSize, &batching->max_batch_size);
  reader->Duration("max_queue_delay", absl::Seconds(10), &batching->max_queue_delay);
  reader->Integer("max_queue_rows", 1, kMaxQueueRows, &batching->max_queue_rows);
  reader->Bytes("max_queue_bytes", kLeastQueueBytes, kMostQueueBytes, &batching->max_queue_bytes);
  reader->Duration("queue_timeout", absl::Hours(1), &batching->queue_timeout);
  reader->Integer("priority_levels", 1, kMaxPriorityLevels, &batching->priority_levels);
  const int levels = reader->IsRight("priority_levels") ? batching->priority_levels : kMaxPriorityLevels;
  batching->default_priority = std::min(batching->default_priority, levels);
  reader->Integer("default_priority", 1, levels, &batching->default_priority);
  if (reader->Find("max_queue_rows") == nullptr) {
    batching->max_queue_rows = std::max(batching->max_queue_rows, batching->max_batch_size);
  }
  if (reader->IsRight("max_queue_rows") && batching->max_batch_size > batching->max_queue_rows) {
    reader->Fail("max_batch_size", absl::StrCat("must be at most max_queue_rows, ", batching->max_queue_rows,
                                                "; was ", batching->max_batch_size));
  }
  if (reader->IsRight("max_queue_delay") && batching->queue_timeout > absl::ZeroDuration() &&
      batching->queue_timeout <= batching->max_queue_delay) {
    reader->Fail("queue_timeout", absl::StrCat("must be longer than max_queue_delay, ",
                                               absl::FormatDuration(batching->max_queue_delay), "; was ",
                                               absl::FormatDuration(batching->queue_timeout)));
  }
}

// An empty queue must have room for the largest batch: max_queue_bytes defaults to batching's, or to what
// that batch takes where it is more. `input_shape` is right, of kMaxInputSize values at most.
void FitQueueBytes(const std::vector<int64_t>& input_shape, MappingReader* reader,
                   BatchingOptions* batching) {
  if (!reader->IsRight("max_batch_size") || !reader->IsRight("max_queue_bytes")) return;
  int64_t input = sizeof(float);
  for (const int64_t dimension : input_shape) input *= dimension;
  const int64_t most = kMostQueueBytes / input;
  if (batching->max_batch_size > most) {
    return reader->Fail("max_batch_size",
                        absl::StrCat("must be at most ", most, ": as many inputs of ", input, " bytes are ",
                                     BytesToText(kMostQueueBytes), "; was ", batching->max_batch_size));
  }
  const int64_t batch = input * batching->max_batch_size;
  if (reader->Find("max_queue_bytes") == nullptr) {
    batching->max_queue_bytes = std::max(batching->max_queue_bytes, batch);
  } else if (batching->max_queue_bytes < batch) {
    reader->Fail("max_queue_bytes", absl::StrCat("must be at least ", BytesToText(batch),
                                                 ", max_batch_size (", batching->max_batch_size,
                                                 ") inputs; was ", BytesToText(batching->max_queue_bytes)));
  }
}

void ReadBatchBuckets(MappingReader* reader, int max_batch_size, std::vector<int>* buckets) {
  std::vector<int64_t> rows;
  reader->Integers("batch_buckets", 1, kMaxBatchSize, &rows);
  if (rows.empty()) return;
  if (!std::is_sorted(rows.begin(), rows.end(), std::less_equal<>()) || rows.back() != max_batch_size) {
    return reader->Fail("batch_buckets",
                        absl::StrCat("must be ascending and end with max_batch_size, ", max_batch_size,
                                     "; was [", absl::StrJoin(rows, ", "), "]"));
  }
  buckets->assign(rows.begin(), rows.end());
}

// A count, or auto, which is 0.
void ReadInstances(MappingReader* reader, int* instances) {
  const YamlValue* const value = reader->Find("instances");
  if (value != nullptr && value->scalar() != nullptr && *value->scalar() == "auto") {
    *instances = 0;
    return;
  }
  reader->Integer("instances", 1, kMaxInstances, instances);
}

// Keys that change who is served by what is loaded, or how its labels are judged, and not what is loaded.
bool NeedsNoReload(absl::string_view key) {
  return key == "versions" || key == "version_labels" || key == "traffic" || key == "alarm" || key == "refit";
}

// One text for one meaning: without layout, comments, and the order of a mapping's keys.
void AppendCanonical(const YamlValue& value, std::string* text) {
  if (value.scalar() != nullptr) absl::StrAppend(text, value.scalar()->size(), ":", *value.scalar());
  if (value.list() != nullptr) {
    absl::StrAppend(text, "[");
    for (const YamlValue& item : *value.list()) AppendCanonical(item, text);
    absl::StrAppend(text, "]");
  }
  if (value.mapping() == nullptr) return;
  std::map<std::string, const YamlValue*> entries;
  for (const YamlEntry& entry : *value.mapping()) entries[entry.key] = &entry.value;
  absl::StrAppend(text, "{");
  for (const auto& [key, item] : entries) {
    if (NeedsNoReload(key)) continue;
    absl::StrAppend(text, key, "=");
    AppendCanonical(*item, text);
  }
  absl::StrAppend(text, "}");
}

// What a version is loaded with, besides its input.
constexpr const char* kLoadedWith[] = {"task",          "device",    "dtype",           "max_batch_size",
                                       "batch_buckets", "instances", "intra_op_threads"};

bool IsDevice(absl::string_view device) {
  int index = 0;
  if (absl::ConsumePrefix(&device, "cuda:")) {
    return !device.empty() && absl::c_all_of(device, absl::ascii_isdigit) && absl::SimpleAtoi(device, &index);
  }
  return device == "cpu" || device == "cuda" || device == "auto";
}

}  // namespace

void ReadModelYaml(const std::string& path, ModelConfig* config, std::vector<absl::Status>* problems) {
  const absl::StatusOr<YamlValue> root = ReadYamlFile(path, problems);
  if (!root.ok()) {
    config->loadable = false;
    return problems->push_back(root.status());
  }
  AppendCanonical(*root, &config->settings);
  MappingReader reader(path, "", *root);
  reader.Require("task");
  reader.Choice<Task>("task", {{"multiclass", Task::kMulticlass}, {"binary", Task::kBinary}}, &config->task);
  ReadQueueKeys(&reader, &config->batching);
  ReadInstances(&reader, &config->batching.instances);
  reader.Duration("inline_limit", absl::Milliseconds(10), &config->batching.inline_limit);
  reader.Integer("intra_op_threads", 0, kMaxIntraOpThreads, &config->intra_op_threads);
  ReadBatchBuckets(&reader, config->batching.max_batch_size, &config->batch_buckets);
  reader.Choice<std::string>("dtype", {{"fp32", "fp32"}, {"bf16", "bf16"}, {"fp16", "fp16"}}, &config->dtype);
  reader.Text("device", &config->device);
  if (!IsDevice(config->device)) {
    reader.Fail("device", absl::StrCat("must be cpu | cuda | cuda:N | auto; was \"", config->device, "\""));
  }
  ReadVersionKeys(&reader, &config->policy, &config->routing);
  reader.Require("input");
  const YamlValue* const input = reader.Find("input");
  const YamlValue* const names = reader.Find("tensor_names");
  const YamlValue* const alarm = reader.Find("alarm");
  const YamlValue* const attributes = reader.Find("attributes");
  const YamlValue* const refit = reader.Find("refit");
  Problems of_input;
  if (input != nullptr) ReadInput(path, *input, config, &of_input);
  const bool input_is_right = input != nullptr && of_input.empty();
  if (input_is_right) FitQueueBytes(config->input_shape, &reader, &config->batching);
  config->loadable =
      input_is_right && absl::c_all_of(kLoadedWith, [&](const char* key) { return reader.IsRight(key); });
  Append(reader.Problems(), problems);
  Append(std::move(of_input), problems);
  if (names != nullptr) ReadTensorNames(path, *names, &config->tensor_names, problems);
  if (alarm != nullptr) ReadAlarm(path, *alarm, &config->alarm, problems);
  if (attributes != nullptr) ReadAttributeKeys(path, *attributes, &config->attributes, problems);
  if (refit != nullptr) ReadRefit(path, *refit, &config->refit, problems);
}

}  // namespace calserve
