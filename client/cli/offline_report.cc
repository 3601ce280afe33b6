#include "client/cli/offline_report.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/calibrator.h"
#include "calibration_io/calibrator_json.h"
#include "calibration_io/labelled_logits_file.h"
#include "client/cli/columns_json.h"
#include "client/cli/model_choice.h"
#include "client/cli/offline_columns.h"
#include "client/cli/printable.h"

namespace calserve::cli {
namespace {

// The columns of an offline report: methods, then files, then versions of the server; plain softmax where
// nothing is asked for.
class OfflineReport {
 public:
  OfflineReport(const ReportOptions& options, const LabelledLogitsFile& file, const Session& session)
      : options_(options),
        session_(session),
        progress_("report", session.json),
        data_{file.view(), file.labels, options.bins, options.details, {}} {}

  absl::StatusOr<std::vector<NamedMetrics>> Columns() {
    if (!options_.class_names.empty()) {
      absl::StatusOr<std::vector<std::string>> names = ReadClassNames(options_.class_names, classes());
      if (!names.ok()) return names.status();
      data_.class_names = *std::move(names);
    }
    if (absl::Status status = AddMethods(); !status.ok()) return status;
    for (const std::string& path : options_.calibrators) {
      if (absl::Status status = AddFile(path); !status.ok()) return status;
    }
    if (absl::Status status = AddVersions(); !status.ok()) return status;
    return std::move(columns_);
  }

 private:
  int classes() const { return data_.logits.classes(); }

  absl::Status AddMethods() {
    std::vector<std::string> names = options_.methods;
    if (names.empty() && options_.calibrators.empty() && options_.calibrator_versions.empty()) {
      names = {MethodName(CalibrationMethod::kNone)};
    }
    const absl::StatusOr<std::vector<CalibrationMethod>> methods = MethodsNamed(names, classes());
    if (!methods.ok()) return methods.status();
    for (size_t m = 0; m < methods->size(); ++m) {
      const auto told = [&](double fraction) {
        const double done = (static_cast<double>(m) + fraction) / static_cast<double>(methods->size());
        progress_.Update(static_cast<int64_t>(100 * done), 100, MethodName((*methods)[m]));
      };
      if (absl::Status status = Add(ColumnOfMethod((*methods)[m], options_.folds, data_, told)); !status.ok())
        return status;
    }
    return absl::OkStatus();
  }

  absl::Status AddFile(const std::string& path) {
    const absl::StatusOr<CalibratorDocument> document = ReadCalibratorFile(path, classes());
    if (!document.ok()) return document.status();
    const absl::StatusOr<Calibrator> calibrator = Calibrator::Create(document->spec);
    if (!calibrator.ok()) return calibrator.status();
    const std::string method = MethodName(calibrator->spec().method);
    // One of several is told by its file.
    const bool alone =
        options_.calibrators.size() == 1 && options_.methods.empty() && options_.calibrator_versions.empty();
    return Add(
        ColumnOfCalibrator(*calibrator, alone ? method : absl::StrCat(method, " (", path, ")"), data_));
  }

  absl::Status AddVersions() {
    if (options_.calibrator_versions.empty()) return absl::OkStatus();
    const absl::StatusOr<Client> client = session_.Connect();
    if (!client.ok()) return client.status();
    const absl::StatusOr<client::ModelInfo> model = FindModel(*client, options_.model);
    if (!model.ok()) return model.status();
    const absl::StatusOr<std::vector<client::CalibratorInfo>> stored = client->ListCalibrators(model->name);
    if (!stored.ok()) return stored.status();
    for (const int64_t version : options_.calibrator_versions) {
      const absl::StatusOr<Calibrator> calibrator = Stored(*model, *stored, version);
      if (!calibrator.ok()) return calibrator.status();
      const std::string name =
          absl::StrCat(MethodName(calibrator->spec().method), " (", model->name, " ", version, ")");
      if (absl::Status status = Add(ColumnOfCalibrator(*calibrator, name, data_)); !status.ok())
        return status;
    }
    return absl::OkStatus();
  }

  // Version 0 is plain softmax.
  static absl::StatusOr<Calibrator> Stored(const client::ModelInfo& model,
                                           const std::vector<client::CalibratorInfo>& stored,
                                           int64_t version) {
    const int classes = static_cast<int>(model.labels.size());
    if (version == 0) return Calibrator::None(classes);
    for (const client::CalibratorInfo& one : stored) {
      if (one.version != version) continue;
      const absl::StatusOr<CalibrationMethod> method = ParseMethod(one.method);
      if (!method.ok()) return method.status();
      return Calibrator::Create({*method, classes, one.parameters});
    }
    return absl::NotFoundError(absl::StrCat("model ", model.name, " has no calibrator ", version,
                                            "; `calserve calibrators list` shows what there is"));
  }

  absl::Status Add(absl::StatusOr<NamedMetrics> column) {
    if (!column.ok()) return column.status();
    columns_.push_back(*std::move(column));
    return absl::OkStatus();
  }

  const ReportOptions& options_;
  const Session& session_;
  ProgressLine progress_;
  OfflineData data_;
  std::vector<NamedMetrics> columns_;
};

// What the figures of the columns are of.
std::vector<std::string> WhatIsMeasured(const ReportOptions& options, const LabelledLogitsFile& data) {
  std::vector<std::string> out = {absl::StrCat(data.labels.size(), " rows of ", data.view().classes(),
                                               " classes: logits ", options.logits, ", labels ",
                                               options.labels, ".")};
  if (!options.methods.empty()) {
    out.push_back(absl::StrCat("Methods are fitted here, ", options.folds,
                               " times: each row is judged by a fit to the other folds."));
  }
  if (!options.calibrators.empty() || !options.calibrator_versions.empty()) {
    out.push_back("Calibrators are applied to every row, also to rows that they were fitted to.");
  }
  return out;
}

}  // namespace

absl::Status ReportOffline(const ReportOptions& options, Session& session) {
  const absl::StatusOr<LabelledLogitsFile> data = ReadLabelledLogits(options.logits, options.labels);
  if (!data.ok()) return data.status();
  const absl::StatusOr<std::vector<NamedMetrics>> columns = OfflineReport(options, *data, session).Columns();
  if (!columns.ok()) return columns.status();
  const std::vector<std::string> measured = WhatIsMeasured(options, *data);
  if (session.json) {
    session.answer = ColumnsToJson(*columns);
  } else {
    Print(ReportText(*columns, session.terminal));
    if (columns->size() > 1) Print("\n");
    for (const std::string& line : measured) {
      if (columns->size() > 1) Print(absl::StrCat(Printable(line), "\n"));
    }
  }
  return WriteReportFiles(options.files, options.logits, *columns, measured);
}

}  // namespace calserve::cli
