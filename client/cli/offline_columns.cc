#include "client/cli/offline_columns.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "calibration/choose_method.h"
#include "calibration/fit.h"
#include "calibration/labelled_rows.h"
#include "calibration/method.h"
#include "calibration_io/file.h"
#include "client/cli/column_scores.h"

namespace calserve::cli {

absl::StatusOr<NamedMetrics> ColumnOfCalibrator(const Calibrator& calibrator, std::string name,
                                                const OfflineData& data) {
  const absl::Status checked = CheckEvaluation(calibrator, data.logits, data.labels, data.bins);
  if (!checked.ok()) return checked;
  ColumnScores scores(calibrator.classes(), data.bins, data.details);
  ForEachRow(calibrator, AllRows(data.logits, data.labels), [&](const AppliedRow& row) { scores.Add(row); });
  return scores.Column(std::move(name), data.class_names);
}

absl::StatusOr<NamedMetrics> ColumnOfMethod(CalibrationMethod method, int folds, const OfflineData& data,
                                            const std::function<void(double fraction)>& progress) {
  const int classes = data.logits.classes();
  if (method == CalibrationMethod::kNone) {
    return ColumnOfCalibrator(Calibrator::None(classes), MethodName(method), data);
  }
  ColumnScores scores(classes, data.bins, data.details);
  const FitOptions options{.folds = folds, .progress = [&](const std::string&, double fraction) {
                             progress(fraction);
                             return true;
                           }};
  const absl::Status visited = VisitOutOfFold(method, data.logits, data.labels, options,
                                              [&](const AppliedRow& row) { scores.Add(row); });
  if (!visited.ok()) {
    return absl::Status(visited.code(), absl::StrCat(MethodName(method), ": ", visited.message()));
  }
  return scores.Column(MethodName(method), data.class_names);
}

absl::StatusOr<std::vector<CalibrationMethod>> MethodsNamed(const std::vector<std::string>& names,
                                                            int classes) {
  std::vector<CalibrationMethod> out;
  const auto add = [&](CalibrationMethod id) {
    if (std::find(out.begin(), out.end(), id) == out.end()) out.push_back(id);
  };
  for (const std::string& name : names) {
    if (name == "all") {
      for (const Method* method : CompetingMethods(classes)) add(method->id);
      continue;
    }
    const absl::StatusOr<CalibrationMethod> id = ParseMethod(name);
    if (!id.ok()) return id.status();
    const Method* const method = FindMethod(*id);
    add(method != nullptr && classes > 2 ? method->on_more_classes : *id);
  }
  return out;
}

absl::StatusOr<std::vector<std::string>> ReadClassNames(const std::string& path, int classes) {
  absl::StatusOr<LineReader> lines = LineReader::Open(path);
  if (!lines.ok()) return lines.status();
  std::vector<std::string> names;
  while (true) {
    absl::StatusOr<std::optional<std::string>> line = lines->Next();
    if (!line.ok()) return line.status();
    if (!line->has_value()) break;
    names.emplace_back(absl::StripSuffix(**line, "\r"));
    if (static_cast<int>(names.size()) > classes) break;
  }
  if (static_cast<int>(names.size()) == classes) return names;
  return absl::InvalidArgumentError(
      absl::StrCat(path, " must have a line for each of the ", classes, " classes; has ",
                   static_cast<int>(names.size()) > classes ? "more" : absl::StrCat(names.size())));
}

}  // namespace calserve::cli
