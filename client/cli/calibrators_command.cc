#include <algorithm>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "calibration_io/calibrator_json.h"
#include "calibration_io/file.h"
#include "client/cli/commands.h"
#include "client/cli/json_output.h"
#include "client/cli/metrics_table.h"
#include "client/cli/model_choice.h"
#include "client/cli/option_rules.h"
#include "client/cli/printable.h"
#include "client/cli/set_thresholds_text.h"
#include "client/cli/text_table.h"

namespace calserve::cli {
namespace {

struct Options {
  std::string model;
  int64_t model_version = 0;
  int64_t version = 0;
  int64_t expected_active = -1;
  std::string out;
};

// What every verb begins with.
struct Target {
  Client client;
  client::ModelInfo model;
  client::ModelVersionInfo version;
};

absl::StatusOr<Target> FindTarget(const Options& options, const Session& session) {
  absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  absl::StatusOr<client::ModelInfo> model = FindModel(*client, options.model);
  if (!model.ok()) return model.status();
  const int64_t wanted = options.model_version == 0 ? model->default_version : options.model_version;
  for (const client::ModelVersionInfo& version : model->versions) {
    if (version.version == wanted) return Target{*client, *model, version};
  }
  return absl::NotFoundError(absl::StrCat(model->name, " has no ",
                                          options.model_version == 0
                                              ? std::string("version that is ready")
                                              : absl::StrCat("version ", options.model_version),
                                          "; `calserve models` shows what there is"));
}

std::string CrossValidatedNll(const client::CalibratorInfo& calibrator) {
  if (!calibrator.report.has_value() || !calibrator.report->cross_validated.has_value()) return "-";
  return FormatMetric(calibrator.report->cross_validated->nll);
}

std::string ParametersText(const client::CalibratorInfo& calibrator) {
  return absl::StrJoin(calibrator.parameters, " ",
                       [](std::string* out, const CalibratorSpec::Parameter& parameter) {
                         if (parameter.values.size() == 1) {
                           absl::StrAppendFormat(out, "%s=%.4g", parameter.name, parameter.values[0]);
                         } else {
                           absl::StrAppend(out, parameter.name, "[", parameter.values.size(), "]");
                         }
                       });
}

// Plain softmax as each model version has it. The store issued no version for it, so the server's list is
// without it; one can activate it and roll back to it all the same.
std::vector<client::CalibratorInfo> PlainSoftmax(const client::ModelInfo& model, int64_t model_version) {
  std::vector<client::CalibratorInfo> out;
  for (const client::ModelVersionInfo& version : model.versions) {
    if (version.state != client::ModelVersionInfo::State::kReady) continue;
    if (model_version != 0 && version.version != model_version) continue;
    client::CalibratorInfo none;
    none.model = model.name;
    none.model_version = version.version;
    none.method = MethodName(CalibrationMethod::kNone);
    none.state = version.active_calibrator.version == 0 ? client::CalibratorInfo::State::kActive
                                                        : client::CalibratorInfo::State::kRetired;
    out.push_back(std::move(none));
  }
  return out;
}

// Every calibrator of the model, the newest first, plain softmax last.
absl::StatusOr<std::vector<client::CalibratorInfo>> ListAll(const Target& target, int64_t model_version) {
  absl::StatusOr<std::vector<client::CalibratorInfo>> out =
      target.client.ListCalibrators(target.model.name, model_version);
  if (!out.ok()) return out;
  for (client::CalibratorInfo& none : PlainSoftmax(target.model, model_version))
    out->push_back(std::move(none));
  return out;
}

absl::Status List(const Options& options, Session& session) {
  const absl::StatusOr<Target> target = FindTarget(options, session);
  if (!target.ok()) return target.status();
  const absl::StatusOr<std::vector<client::CalibratorInfo>> calibrators =
      ListAll(*target, options.model_version);
  if (!calibrators.ok()) return calibrators.status();
  if (session.json) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const client::CalibratorInfo& calibrator : *calibrators) out.push_back(ToJson(calibrator));
    session.answer = {{"calibrators", std::move(out)}};
    return absl::OkStatus();
  }
  TextTable table({{"version", TextTable::Align::kRight},
                   {"model version", TextTable::Align::kRight},
                   {"state"},
                   {"method"},
                   {"parameters"},
                   {"n", TextTable::Align::kRight},
                   {"NLL left out", TextTable::Align::kRight},
                   {"created"}});
  for (const client::CalibratorInfo& calibrator : *calibrators) {
    table.AddRow({absl::StrCat(calibrator.version), absl::StrCat(calibrator.model_version),
                  StateName(calibrator.state), calibrator.method, ParametersText(calibrator),
                  calibrator.report.has_value() ? absl::StrCat(calibrator.report->n) : "-",
                  CrossValidatedNll(calibrator),
                  calibrator.created.has_value() ? TimeText(*calibrator.created) : "-"});
  }
  Print(table.ToString(session.terminal));
  return absl::OkStatus();
}

absl::StatusOr<client::CalibratorInfo> Find(const Target& target, int64_t version) {
  // A version is unique within the model, but every model version has a 0.
  const absl::StatusOr<std::vector<client::CalibratorInfo>> calibrators =
      ListAll(target, version == 0 ? target.version.version : 0);
  if (!calibrators.ok()) return calibrators.status();
  for (const client::CalibratorInfo& calibrator : *calibrators) {
    if (calibrator.version == version) return calibrator;
  }
  return absl::NotFoundError(absl::StrCat("model ", target.model.name, " has no calibrator ", version,
                                          "; `calserve calibrators list` shows what there is"));
}

void PrintCalibrator(const client::CalibratorInfo& calibrator, Session& session) {
  if (session.json) {
    session.answer = ToJson(calibrator);
    return;
  }
  const std::string parameters = ParametersText(calibrator);
  const std::string line = absl::StrCat(
      calibrator.model, "/", calibrator.model_version, " calibrator ", calibrator.version, ": ",
      calibrator.method, parameters.empty() ? "" : " ", parameters, ", ", StateName(calibrator.state));
  Print(absl::StrCat(Printable(line), "\n"));
  if (!calibrator.note.empty()) Print(absl::StrCat("automatic refit: ", Printable(calibrator.note), "\n"));
}

// Below a calibrator that was just activated: what it replaced, on the same labels.
void PrintComparison(const client::CalibratorInfo& calibrator, Session& session) {
  if (session.json || !calibrator.comparison.has_value()) return;
  const client::CalibratorComparison& paired = *calibrator.comparison;
  if (paired.n == 0) {
    Print(absl::StrCat("no label since both were fitted: nothing compares ", paired.candidate, " with ",
                       paired.incumbent, "\n"));
    return;
  }
  TextTable table({{"on the same labels"},
                   {absl::StrCat("calibrator ", paired.incumbent), TextTable::Align::kRight},
                   {absl::StrCat("calibrator ", paired.candidate), TextTable::Align::kRight}});
  table.AddRow(
      {"ECE", absl::StrFormat("%.4f", paired.incumbent_ece), absl::StrFormat("%.4f", paired.candidate_ece)});
  table.AddRow({"accuracy", absl::StrFormat("%.4f", paired.incumbent_accuracy),
                absl::StrFormat("%.4f", paired.candidate_accuracy)});
  Print(table.ToString(session.terminal));
  Print(
      absl::StrFormat("NLL differs by %+.4f, standard error %.4f, over %d labels (positions %d to %d), log "
                      "e-value %.2f\n",
                      paired.nll_difference, paired.standard_error, paired.n, paired.first_position,
                      paired.last_position, paired.log_e_value));
}

absl::Status WriteCalibrator(const client::CalibratorInfo& calibrator, const Target& target,
                             const std::string& path) {
  const absl::StatusOr<CalibratorSpec> spec = calibrator.Spec(static_cast<int>(target.model.labels.size()));
  if (!spec.ok()) return spec.status();
  return WriteWholeFile(path, CalibratorToJson({*spec, calibrator.report}));
}

absl::Status Show(const Options& options, Session& session) {
  const absl::StatusOr<Target> target = FindTarget(options, session);
  if (!target.ok()) return target.status();
  const absl::StatusOr<client::CalibratorInfo> calibrator = Find(*target, options.version);
  if (!calibrator.ok()) return calibrator.status();
  PrintCalibrator(*calibrator, session);
  if (!session.json && calibrator->report.has_value()) {
    std::vector<NamedMetrics> columns = {{"before", calibrator->report->before},
                                         {"after", calibrator->report->after}};
    if (calibrator->report->cross_validated.has_value()) {
      columns.push_back({"left out", *calibrator->report->cross_validated});
    }
    Print(MetricsTable(columns, session.terminal));
  }
  if (!session.json) Print(SetThresholdsText(calibrator->set_thresholds));
  return options.out.empty() ? absl::OkStatus() : WriteCalibrator(*calibrator, *target, options.out);
}

int64_t ExpectedActive(const Options& options, const Target& target) {
  return options.expected_active >= 0 ? options.expected_active : target.version.active_calibrator.version;
}

absl::Status Activate(const Options& options, Session& session) {
  const absl::StatusOr<Target> target = FindTarget(options, session);
  if (!target.ok()) return target.status();
  const absl::StatusOr<client::CalibratorInfo> active = target->client.ActivateCalibrator(
      target->model.name, target->version.version, options.version, ExpectedActive(options, *target));
  if (!active.ok()) return active.status();
  PrintCalibrator(*active, session);
  PrintComparison(*active, session);
  return absl::OkStatus();
}

absl::Status Rollback(const Options& options, Session& session) {
  const absl::StatusOr<Target> target = FindTarget(options, session);
  if (!target.ok()) return target.status();
  const absl::StatusOr<client::CalibratorInfo> active = target->client.RollbackCalibrator(
      target->model.name, target->version.version, ExpectedActive(options, *target));
  if (!active.ok()) return active.status();
  PrintCalibrator(*active, session);
  PrintComparison(*active, session);
  return absl::OkStatus();
}

}  // namespace

void AddCalibrators(CLI::App* app, Session* session) {
  CLI::App* const verbs =
      app->add_subcommand("calibrators", "List, show, activate and roll back calibrators");
  verbs->require_subcommand(1);
  const auto options = std::make_shared<Options>();
  verbs->fallthrough();
  verbs->add_option("--model", options->model, "model; the only one if there is one")->check(Name());
  verbs->add_option("--model-version", options->model_version, "0: the model's default version")
      ->check(WholeNumber(0));
  const auto add = [&](const char* name, const char* help, absl::Status (*run)(const Options&, Session&)) {
    CLI::App* const command = verbs->add_subcommand(name, help);
    command->callback([=] { session->result = run(*options, *session); });
    return command;
  };
  const auto add_expect = [&](CLI::App* command) {
    command
        ->add_option("--expect", options->expected_active,
                     "what must be active now; else what is, a moment before")
        ->check(WholeNumber(0));
  };
  add("list", "the newest first; 0 is plain softmax", List);
  CLI::App* const show = add("show", "one calibrator and the report of its fit", Show);
  show->add_option("version", options->version, "calibrator version; 0 is plain softmax")
      ->required()
      ->check(WholeNumber(0));
  show->add_option("--out", options->out, "also write it there as a calibrator.json")->check(OutputFile());
  CLI::App* const activate = add("activate", "answer predictions with it, from the next one on", Activate);
  activate->add_option("version", options->version, "calibrator version; 0 is plain softmax")
      ->required()
      ->check(WholeNumber(0));
  add_expect(activate);
  add_expect(add("rollback", "activate what was active before", Rollback));
}

}  // namespace calserve::cli
