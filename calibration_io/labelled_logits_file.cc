#include "calibration_io/labelled_logits_file.h"

#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/labelled_rows.h"
#include "calibration_io/csv.h"
#include "calibration_io/file.h"
#include "calibration_io/npy.h"

namespace calserve {
namespace {

std::string Describe(const NpyArray& array) {
  return absl::StrCat("dtype ", array.dtype, ", shape (", absl::StrJoin(array.shape, ", "), ")");
}

absl::Status LogitsFromNpy(NpyArray array, const std::string& path, LabelledLogitsFile* out) {
  const int64_t columns = array.shape.size() == 2 ? array.shape[1] : 1;
  if (columns < 1 || columns > std::numeric_limits<int>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": logits must be (N, K) with K >= 1; has ", Describe(array)));
  }
  out->columns = static_cast<int>(columns);
  if (auto* const floats = std::get_if<std::vector<float>>(&array.values)) {
    out->logits = std::move(*floats);
  } else if (auto* const doubles = std::get_if<std::vector<double>>(&array.values)) {
    out->logits = std::move(*doubles);
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": logits must be float32 or float64; has ", Describe(array)));
  }
  return absl::OkStatus();
}

absl::Status ReadLogits(const std::string& path, LabelledLogitsFile* out) {
  const absl::StatusOr<std::string> bytes = ReadWholeFile(path);
  if (!bytes.ok()) return bytes.status();
  if (!absl::EndsWithIgnoreCase(path, ".csv")) {
    absl::StatusOr<NpyArray> array = ParseNpy(*bytes, path);
    if (!array.ok()) return array.status();
    return LogitsFromNpy(*std::move(array), path, out);
  }
  absl::StatusOr<CsvNumbers> numbers = ParseCsvNumbers(*bytes, path);
  if (!numbers.ok()) return numbers.status();
  if (numbers->columns == 0) return absl::InvalidArgumentError(absl::StrCat(path, ": has no line of logits"));
  out->columns = numbers->columns;
  out->logits = std::move(numbers->values);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> ReadIntegers(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadWholeFile(path);
  if (!bytes.ok()) return bytes.status();
  if (absl::EndsWithIgnoreCase(path, ".csv")) return ParseCsvIntegers(*bytes, path);
  absl::StatusOr<NpyArray> array = ParseNpy(*bytes, path);
  if (!array.ok()) return array.status();
  auto* const integers = std::get_if<std::vector<int64_t>>(&array->values);
  if (integers == nullptr || (array->shape.size() == 2 && array->shape[1] != 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": labels must be N class indices of an integer type; has ", Describe(*array)));
  }
  return std::move(*integers);
}

}  // namespace

LogitsView LabelledLogitsFile::view() const {
  return std::visit([this](const auto& values) { return LogitsView(absl::MakeConstSpan(values), columns); },
                    logits);
}

absl::StatusOr<LabelledLogitsFile> ReadLabelledLogits(const std::string& logits_path,
                                                      const std::string& labels_path) {
  LabelledLogitsFile out;
  if (absl::Status status = ReadLogits(logits_path, &out); !status.ok()) return status;
  const absl::StatusOr<std::vector<int64_t>> labels = ReadIntegers(labels_path);
  if (!labels.ok()) return labels.status();
  if (out.view().rows() != static_cast<int64_t>(labels->size())) {
    return absl::InvalidArgumentError(absl::StrCat("logits and labels must have as many rows; ", logits_path,
                                                   " has ", out.view().rows(), ", ", labels_path, " has ",
                                                   labels->size()));
  }
  out.labels.reserve(labels->size());
  for (size_t i = 0; i < labels->size(); ++i) {
    const int64_t label = (*labels)[i];
    if (label < 0 || label >= out.view().classes()) {
      return absl::InvalidArgumentError(
          absl::StrCat(labels_path, ": labels must be in [0, ", out.view().classes() - 1,
                       "], the classes of the logits; labels[", i, "] is ", label));
    }
    out.labels.push_back(static_cast<int32_t>(label));
  }
  const absl::Status checked = CheckLabelledLogits(out.view(), out.labels);
  if (!checked.ok()) return absl::Status(checked.code(), absl::StrCat(logits_path, ": ", checked.message()));
  return out;
}

}  // namespace calserve
