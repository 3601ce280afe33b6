#include "server/config/warm_up_file.h"

#include <cmath>
#include <iterator>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration_io/file.h"
#include "calibration_io/npy.h"
#include "server/base/status_macros.h"
#include "server/config/mapping_reader.h"
#include "server/config/yaml_file.h"

namespace calserve {
namespace {

constexpr size_t kMaxSamples = 256;
constexpr int64_t kMaxBytes = int64_t{256} << 20;  // of all files together
constexpr size_t kMaxDimensions = 8;

using Problems = std::vector<absl::Status>;

void ReadTolerance(const std::string& path, const std::string& name, MappingReader* reader,
                   WarmUpSample* sample, Problems* problems) {
  const YamlValue* const value = reader->Find("tolerance");
  if (value == nullptr) return;
  MappingReader tolerance(path, name, *value);
  for (const auto& [key, out] : {std::pair{"absolute", &sample->absolute_tolerance},
                                 std::pair{"relative", &sample->relative_tolerance}}) {
    const YamlValue* const number = tolerance.Find(key);
    if (number == nullptr) continue;
    double parsed = 0;
    if (number->scalar() == nullptr || !absl::SimpleAtod(*number->scalar(), &parsed) ||
        !std::isfinite(parsed) || parsed < 0) {
      tolerance.Fail(key, "must be a number from 0");
      continue;
    }
    *out = parsed;
  }
  absl::c_move(tolerance.Problems(), std::back_inserter(*problems));
}

void ReadTopClasses(const ModelConfig& model, MappingReader* reader, WarmUpSample* sample) {
  const YamlValue* const value = reader->Find("top_classes");
  if (value == nullptr) return;
  if (value->list() == nullptr || value->list()->empty()) {
    return reader->Fail("top_classes", "must be a list of class names");
  }
  for (const YamlValue& item : *value->list()) {
    if (item.scalar() == nullptr || !absl::c_linear_search(model.labels, *item.scalar())) {
      reader->Fail("top_classes", absl::StrCat("has ", Quoted(item), ", which is not in labels.txt"));
    } else if (absl::c_linear_search(sample->top_classes, *item.scalar())) {
      reader->Fail("top_classes", absl::StrCat("has ", Quoted(item), " twice"));
    } else {
      sample->top_classes.push_back(*item.scalar());
    }
  }
}

void ReadLogits(const ModelConfig& model, MappingReader* reader, WarmUpSample* sample) {
  reader->Numbers("logits", &sample->logits);
  const size_t classes = model.labels.size(), logits = sample->logits.size();
  if (reader->Find("logits") == nullptr || !reader->IsRight("logits")) return;
  if (logits == classes || (logits == 1 && classes == 2)) return;
  reader->Fail("logits",
               absl::StrCat("must have a number for each of the ", classes, " classes; has ", logits));
}

// The model's own input, with or without a leading dimension of 1.
absl::StatusOr<std::vector<float>> TensorOf(absl::string_view bytes, const std::string& path,
                                            const ModelConfig& model) {
  ASSIGN_OR_RETURN(NpyArray array, ParseNpy(bytes, path, kMaxDimensions));
  std::vector<int64_t> with_batch = {1};
  with_batch.insert(with_batch.end(), model.input_shape.begin(), model.input_shape.end());
  auto* const values = std::get_if<std::vector<float>>(&array.values);
  if (values == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": dtype must be float32; was ", array.dtype));
  }
  if (array.shape != model.input_shape && array.shape != with_batch) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": the shape must be that of one input, [",
                                                   absl::StrJoin(model.input_shape, ", "), "]; was [",
                                                   absl::StrJoin(array.shape, ", "), "]"));
  }
  if (!absl::c_all_of(*values, [](float value) { return std::isfinite(value); })) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": a value is not finite"));
  }
  return std::move(*values);
}

absl::Status ReadInput(const std::string& folder, const ModelConfig& model, int64_t* bytes_left,
                       WarmUpSample* sample) {
  const std::string path = absl::StrCat(folder, "/", sample->file);
  ASSIGN_OR_RETURN(std::string bytes, ReadWholeFile(path, *bytes_left));
  *bytes_left -= static_cast<int64_t>(bytes.size());
  if (absl::EndsWith(sample->file, ".npy")) {
    ASSIGN_OR_RETURN(sample->input, TensorOf(bytes, path, model));
    return absl::OkStatus();
  }
  if (model.kind != InputKind::kImage) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": a model with input kind: tensor takes .npy files only"));
  }
  sample->input = std::move(bytes);
  return absl::OkStatus();
}

bool IsFileName(const std::string& name) {
  return !name.empty() && name[0] != '.' && !absl::StrContains(name, '/');
}

// Reads one item of "samples".
WarmUpSample ReadSample(const std::string& path, const YamlValue& value, const std::string& name,
                        const WarmUpSample& defaults, const ModelConfig& model, Problems* problems) {
  WarmUpSample sample = defaults;
  MappingReader reader(path, name, value);
  reader.Require("file");
  reader.Text("file", &sample.file);
  if (!sample.file.empty() && !IsFileName(sample.file)) {
    reader.Fail("file",
                absl::StrCat("must be the name of a file beside expected.json; was \"", sample.file, "\""));
    sample.file.clear();
  }
  ReadLogits(model, &reader, &sample);
  ReadTopClasses(model, &reader, &sample);
  if (value.mapping() != nullptr && reader.Find("logits") == nullptr &&
      reader.Find("top_classes") == nullptr) {
    reader.Fail("", "needs logits or top_classes");
  }
  ReadTolerance(path, name + ".tolerance", &reader, &sample, problems);
  absl::c_move(reader.Problems(), std::back_inserter(*problems));
  return sample;
}

// Reads "samples"; what is wrong with one leaves the others.
std::vector<WarmUpSample> ReadSamples(const std::string& folder, const std::string& path,
                                      const YamlValue::List& list, const WarmUpSample& defaults,
                                      const ModelConfig& model, Problems* problems) {
  std::vector<WarmUpSample> samples;
  int64_t bytes_left = kMaxBytes;
  for (size_t i = 0; i < list.size(); ++i) {
    const size_t problems_before = problems->size();
    WarmUpSample sample =
        ReadSample(path, list[i], absl::StrCat("samples[", i, "]"), defaults, model, problems);
    if (!sample.file.empty()) {
      if (absl::Status read = ReadInput(folder, model, &bytes_left, &sample); !read.ok()) {
        problems->push_back(std::move(read));
      }
    }
    if (problems->size() == problems_before) samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace

std::vector<WarmUpSample> ReadWarmUpSamples(const std::string& folder, const ModelConfig& model,
                                            std::vector<absl::Status>* problems) {
  const std::string path = folder + "/expected.json";
  Problems of_file, of_samples;
  const absl::StatusOr<YamlValue> root = ReadJsonFile(path, &of_file);
  if (!root.ok()) {
    problems->push_back(root.status());
    return {};
  }
  MappingReader reader(path, "", *root);
  int format = 0;
  reader.Require("format");
  reader.Integer("format", 1, 1, &format);
  WarmUpSample defaults;
  ReadTolerance(path, "tolerance", &reader, &defaults, &of_file);
  reader.Require("samples");
  std::vector<WarmUpSample> samples;
  const YamlValue* const list = reader.Find("samples");
  if (list != nullptr &&
      (list->list() == nullptr || list->list()->empty() || list->list()->size() > kMaxSamples)) {
    reader.Fail("samples", absl::StrCat("must be a list of 1 to ", kMaxSamples, " samples"));
  } else if (list != nullptr) {
    samples = ReadSamples(folder, path, *list->list(), defaults, model, &of_samples);
  }
  absl::c_move(reader.Problems(), std::back_inserter(of_file));
  if (!of_file.empty()) samples.clear();
  absl::c_move(of_file, std::back_inserter(*problems));
  absl::c_move(of_samples, std::back_inserter(*problems));
  return samples;
}

}  // namespace calserve
