#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/fit.h"
#include "calibration/method.h"
#include "calibration/set_alphas.h"
#include "calibration_io/calibrator_json.h"
#include "calibration_io/file.h"
#include "calibration_io/json_values.h"
#include "calibration_io/labelled_logits_file.h"
#include "client/cli/attribute_option.h"
#include "client/cli/commands.h"
#include "client/cli/comparison_table.h"
#include "client/cli/json_output.h"
#include "client/cli/labelled_images.h"
#include "client/cli/metrics_table.h"
#include "client/cli/model_choice.h"
#include "client/cli/offline_columns.h"
#include "client/cli/option_rules.h"
#include "client/cli/printable.h"
#include "client/cli/report_output.h"
#include "client/cli/requirements.h"
#include "client/cli/set_thresholds_text.h"

namespace calserve::cli {
namespace {

struct Options {
  std::string method = "temperature";
  std::string logits, labels, images;
  int folds = 5;
  double holdout = 0;
  int outer_folds = 0;
  std::vector<double> set_alphas;
  ReportFiles files;
  // Offline:
  std::string out;
  // With a server:
  std::string model;
  int64_t model_version = 0;
  std::vector<std::string> sources, excluded_sources, attributes;
  int64_t max_rows = 0;
  bool activate = false;

  bool offline() const { return !logits.empty() && model.empty(); }
  std::vector<double> alphas() const {
    if (!set_alphas.empty()) return set_alphas;
    return {std::begin(kDefaultSetAlphas), std::end(kDefaultSetAlphas)};
  }
};

std::vector<std::string> FittedMethods() {
  std::vector<std::string> names = {MethodName(CalibrationMethod::kAuto)};
  for (const Method& method : AllMethods()) {
    if (method.id != CalibrationMethod::kNone) names.push_back(method.name);
  }
  return names;
}

// "left out" is of rows that a fit has not seen.
std::vector<NamedMetrics> FitColumns(const FitReport& report) {
  std::vector<NamedMetrics> columns = {{"before", report.before, {}, {}}, {"after", report.after, {}, {}}};
  if (report.cross_validated.has_value()) columns.push_back({"left out", *report.cross_validated, {}, {}});
  return columns;
}

absl::Status WriteFitFiles(const ReportFiles& files, const std::string& title, const CalibratorSpec& spec,
                           const FitReport& report, const std::vector<NamedMetrics>& columns) {
  const std::vector<std::string> paragraphs = {
      absl::StrCat("Fitted to ", report.n, " rows by ", MethodName(spec.method),
                   ". \"after\" is of the rows fitted to, \"left out\" of rows that a fit has not seen.")};
  return WriteReportFiles(files, title, columns, paragraphs,
                          {report.comparison, spec.method, report.selected_optimistic});
}

// At most so many values of a parameter are printed: a value a class or a knot would fill the screen.
constexpr size_t kPrintedValues = 10;

void PrintFit(const std::string& name, const CalibratorSpec& spec, const FitReport& report,
              const Session& session) {
  std::string parameters;
  for (const CalibratorSpec::Parameter& parameter : spec.parameters) {
    absl::StrAppend(&parameters, parameters.empty() ? "" : "; ", parameter.name);
    if (parameter.values.size() > kPrintedValues) {
      absl::StrAppend(&parameters, "[", parameter.values.size(), "]");
      continue;
    }
    for (const double value : parameter.values) absl::StrAppend(&parameters, " ", FormatMetric(value));
  }
  Print(absl::StrCat(session.terminal.Bold(Printable(name)), "  ", Printable(parameters), "\n",
                     MetricsTable(FitColumns(report), session.terminal)));
  Print(ComparisonTable(report, spec.method, session.terminal));
  Print(SetThresholdsText(spec.set_thresholds));
  if (report.at_bound) Print("at a bound: the data do not determine every parameter\n");
  if (!report.converged) Print("the fit did not converge\n");
  if (report.changed_predictions > 0) {
    Print(absl::StrCat("changes the predicted class of ", FormatMetric(report.changed_predictions),
                       " of the rows\n"));
  }
}

absl::StatusOr<FitResult> FitWithProgress(CalibrationMethod method, const LabelledLogitsFile& data,
                                          const Options& options, bool quiet) {
  ProgressLine progress(options.method, quiet);
  return FitCalibrator(method, data.view(), data.labels,
                       {.folds = options.folds,
                        .holdout = options.holdout,
                        .outer_folds = options.outer_folds,
                        .set_alphas = options.alphas(),
                        .progress = [&](const std::string& stage, double fraction) {
                          progress.Update(static_cast<int64_t>(100 * fraction), 100, stage);
                          return true;
                        }});
}

// Where the rows are at hand, what became of the classes too.
absl::StatusOr<std::vector<NamedMetrics>> FitColumnsWithClasses(const FitResult& fit,
                                                                const LabelledLogitsFile& data) {
  std::vector<NamedMetrics> columns = FitColumns(fit.report);
  const OfflineData rows{data.view(), data.labels, kDefaultBins, false, {}};
  const absl::StatusOr<Calibrator> fitted = Calibrator::Create(fit.spec);
  if (!fitted.ok()) return fitted.status();
  const Calibrator calibrators[] = {Calibrator::None(data.view().classes()), *fitted};
  for (size_t c = 0; c < 2; ++c) {
    absl::StatusOr<NamedMetrics> column = ColumnOfCalibrator(calibrators[c], columns[c].name, rows);
    if (!column.ok()) return column.status();
    columns[c].classes = std::move(column->classes);
  }
  return columns;
}

absl::Status FitOffline(const Options& options, Session& session) {
  const absl::StatusOr<CalibrationMethod> method = ParseMethod(options.method);
  if (!method.ok()) return UsageError(method.status().message());
  const absl::StatusOr<LabelledLogitsFile> data = ReadLabelledLogits(options.logits, options.labels);
  if (!data.ok()) return data.status();
  const absl::StatusOr<FitResult> fit = FitWithProgress(*method, *data, options, session.json);
  if (!fit.ok()) return fit.status();
  if (!options.out.empty()) {
    absl::Status status = WriteWholeFile(options.out, CalibratorToJson({fit->spec, fit->report}));
    if (!status.ok()) return status;
  }
  if (session.json) {
    session.answer = FitToJsonValue(fit->spec, fit->report);
  } else {
    PrintFit(MethodName(fit->spec.method), fit->spec, fit->report, session);
  }
  if (options.files.svg.empty() && options.files.html.empty()) return absl::OkStatus();
  absl::StatusOr<std::vector<NamedMetrics>> columns = FitColumnsWithClasses(*fit, *data);
  if (!columns.ok()) return columns.status();
  return WriteFitFiles(options.files, options.logits, fit->spec, fit->report, *columns);
}

// The labelled set of a fit by the server, kept while it is sent.
struct Upload {
  LabelledLogitsFile logits;
  std::vector<client::Input> images;
  std::vector<int32_t> image_labels;
};

absl::Status ReadImages(const std::string& path, const client::ModelInfo& model, Upload* upload) {
  const absl::StatusOr<std::vector<LabelledImage>> images = ListLabelledImages(path, model);
  if (!images.ok()) return images.status();
  if (absl::Status status = CheckImageFiles(*images); !status.ok()) return status;
  if (TotalBytes(*images) > kMaxDataFileBytes) {
    return LargerThan(absl::StrCat("the set of images ", path), kMaxDataFileBytes);
  }
  for (const LabelledImage& image : *images) {
    absl::StatusOr<std::string> bytes = ReadWholeFile(image.path, kMaxImageFileBytes);
    if (!bytes.ok()) return bytes.status();
    upload->images.push_back({client::EncodedImage{*std::move(bytes)}, {}});
    upload->image_labels.push_back(image.class_index);
  }
  return absl::OkStatus();
}

absl::Status FillData(const Options& options, const client::ModelInfo& model, Upload* upload,
                      client::FitRequest* request) {
  if (!options.logits.empty()) {
    absl::StatusOr<LabelledLogitsFile> data = ReadLabelledLogits(options.logits, options.labels);
    if (!data.ok()) return data.status();
    upload->logits = *std::move(data);
    request->data = client::UploadedLogits{upload->logits.view(), upload->logits.labels};
  } else if (!options.images.empty()) {
    if (absl::Status status = ReadImages(options.images, model, upload); !status.ok()) return status;
    request->data = client::UploadedInputs{upload->images, upload->image_labels};
  } else {
    client::StoredSelection stored;
    stored.sources = options.sources;
    stored.excluded_sources = options.excluded_sources;
    stored.attributes = ParseAttributes(options.attributes);
    stored.max_rows = options.max_rows;
    request->data = stored;
  }
  return absl::OkStatus();
}

// Replaces what is active just now.
absl::StatusOr<client::CalibratorInfo> ActivateFitted(const Client& client,
                                                      const client::CalibratorInfo& fitted) {
  const absl::StatusOr<client::ModelInfo> model = client.GetModel(fitted.model);
  if (!model.ok()) return model.status();
  int64_t active = 0;
  for (const client::ModelVersionInfo& version : model->versions) {
    if (version.version == fitted.model_version) active = version.active_calibrator.version;
  }
  return client.ActivateCalibrator(fitted.model, fitted.model_version, fitted.version, active);
}

absl::StatusOr<client::CalibratorInfo> FitShowingProgress(const Client& client, client::FitRequest request,
                                                          bool quiet) {
  ProgressLine progress(MethodName(request.method), quiet);
  request.on_progress = [&](const client::FitProgress& at) {
    progress.Update(static_cast<int64_t>(100 * at.fraction), 100,
                    absl::StrCat(at.stage, ", ", at.rows, " rows"));
    return true;
  };
  return client.FitCalibrator(request);
}

absl::Status FitOnServer(const Options& options, Session& session) {
  const absl::StatusOr<CalibrationMethod> method = ParseMethod(options.method);
  if (!method.ok()) return UsageError(method.status().message());
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  const absl::StatusOr<client::ModelInfo> model = FindModel(*client, options.model);
  if (!model.ok()) return model.status();

  client::FitRequest request;
  request.model = model->name;
  request.model_version = options.model_version;
  request.method = *method;
  request.folds = options.folds;
  request.holdout = options.holdout;
  request.outer_folds = options.outer_folds;
  request.set_alphas = options.alphas();
  Upload upload;
  if (absl::Status status = FillData(options, *model, &upload, &request); !status.ok()) return status;
  absl::StatusOr<client::CalibratorInfo> fitted =
      FitShowingProgress(*client, std::move(request), session.json);
  if (!fitted.ok()) return fitted.status();
  if (options.activate) {
    fitted = ActivateFitted(*client, *fitted);
    if (!fitted.ok()) return fitted.status();
  }
  const absl::StatusOr<CalibratorSpec> spec = fitted->Spec(static_cast<int>(model->labels.size()));
  if (!spec.ok()) return spec.status();
  const FitReport report = fitted->report.value_or(FitReport());
  if (session.json) {
    nlohmann::ordered_json json = ToJson(*fitted);
    json.erase("report");  // The same keys as offline instead.
    json.update(FitToJsonValue(*spec, report));
    session.answer = json;
  } else {
    PrintFit(
        absl::StrCat("calibrator ", fitted->version, ", ", fitted->method, ", ", StateName(fitted->state)),
        *spec, report, session);
  }
  return WriteFitFiles(
      options.files, absl::StrCat(fitted->model, "/", fitted->model_version, " calibrator ", fitted->version),
      *spec, report, FitColumns(report));
}

absl::Status Run(const Options& options, Session& session) {
  return options.offline() ? FitOffline(options, session) : FitOnServer(options, session);
}

}  // namespace

void AddFit(CLI::App* app, Session* session) {
  CLI::App* const command = app->add_subcommand("fit",
                                                "Fit a calibrator: offline from --logits and --labels; with "
                                                "a server from its stored feedback, or with --model "
                                                "from uploaded --logits and --labels or --images");
  const auto options = std::make_shared<Options>();
  command->add_option("--method", options->method, "docs/calibration.md has the formulas")
      ->check(CLI::IsMember(FittedMethods()))
      ->capture_default_str();
  CLI::Option* const folds = command->add_option("--folds", options->folds, "of the cross-validation")
                                 ->check(WholeNumber(2, 20))
                                 ->capture_default_str();
  command->add_option("--holdout", options->holdout, "judge on this share of the rows instead of by folds")
      ->check(NumberWithin(0, 0.9))
      ->excludes(folds);
  CLI::Option* const outer_folds =
      command
          ->add_option("--outer-folds", options->outer_folds,
                       "of --method auto: folds around the choosing, so that its figures are not optimistic")
          ->check(WholeNumber(2, 20));
  command
      ->add_option("--set-alpha", options->set_alphas,
                   absl::StrCat("of prediction sets: share of true classes that they may miss, at most 8; ",
                                absl::StrJoin(kDefaultSetAlphas, " and "), " if none is given"))
      ->check(Share(Upto::kBelowOne))
      ->expected(1, kMaxSetThresholds / 2);
  CLI::Option* const logits =
      command
          ->add_option("--logits", options->logits,
                       "N x K, .npy (float32, float64) or .csv, up to 1 GiB; - is standard input, .npy")
          ->check(InputFile());
  CLI::Option* const labels =
      command->add_option("--labels", options->labels, "N class indices, .npy or .csv")->check(InputFile());
  logits->needs(labels);
  labels->needs(logits);
  CLI::Option* const images =
      command
          ->add_option("--images", options->images,
                       "a folder with one sub-folder per class, or a CSV list: path,label")
          ->check(InputFile());
  images->excludes(logits);

  command->add_option("--html", options->files.html, "write the fit's report as a page there")
      ->check(OutputFile());
  CLI::Option* const out = command->add_option("--out", options->out, "write calibrator.json there")
                               ->check(OutputFile())
                               ->group("Offline");

  command->add_option("--model", options->model, "fit on the server, for this model")
      ->check(Name())
      ->group("Server");
  CLI::Option* const model_version =
      command->add_option("--model-version", options->model_version, "0: the model's default version")
          ->check(WholeNumber(0))
          ->group("Server");
  CLI::Option* const activate =
      command->add_flag("--activate", options->activate, "answer predictions with it at once")
          ->group("Server");

  const std::string stored_group = "Server, stored feedback";
  CLI::Option* const source =
      command->add_option("--source", options->sources, "only labels of these sources")
          ->check(Name())
          ->group(stored_group);
  CLI::Option* const exclude_source =
      command->add_option("--exclude-source", options->excluded_sources, "no labels of these sources")
          ->check(Name())
          ->group(stored_group);
  CLI::Option* const attribute =
      command
          ->add_option("--attribute", options->attributes,
                       "only predictions with this attribute: any of the values of a key, all keys")
          ->allow_extra_args(false)
          ->check(KeyValue())
          ->group(stored_group);
  CLI::Option* const max_rows = command->add_option("--max-rows", options->max_rows, "only the newest labels")
                                    ->check(WholeNumber(0))
                                    ->group(stored_group);
  command->callback([=] {
    const bool stored = options->logits.empty() && options->images.empty();
    session->result = CheckRequirements(
        {{options->offline(), "an offline fit: give --logits and --labels, and no --model", {out}},
         {!options->offline(),
          "a fit by the server: add --model, or leave out --logits",
          {model_version, activate, app->get_option("--server"), app->get_option("--timeout")}},
         {options->method == MethodName(CalibrationMethod::kAuto), "--method auto", {outer_folds}},
         {stored,
          "a fit of stored feedback: leave out --logits and --images",
          {source, exclude_source, attribute, max_rows}}});
    // Before the data are read or sent.
    if (const absl::Status alphas = CheckSetAlphas(options->set_alphas); !alphas.ok()) {
      session->result.Update(UsageError(absl::StrCat("--set-alpha: ", alphas.message())));
    }
    if (session->result.ok()) session->result = Run(*options, *session);
  });
}

}  // namespace calserve::cli
