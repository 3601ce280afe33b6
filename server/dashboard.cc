#include "server/dashboard.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/metrics/estimate.h"
#include "server/base/status_macros.h"
#include "server/base/thread_priority.h"
#include "server/monitoring/label_selection.h"

namespace calserve {
namespace {

constexpr absl::Duration kLookEvery = absl::Seconds(1);
constexpr int kNice = 10;

MonitorKey KeyOf(const Snapshot& snapshot) {
  return {snapshot.model->name, snapshot.model->version, snapshot.calibrator->version};
}

BinValues ValuesOf(const ReliabilityBin& bin, double effective_share) {
  BinValues values{bin.lower, bin.upper, bin.count, bin.confidence, bin.accuracy, {}, {}};
  // A decaying window's weights tell as much as fewer whole labels would.
  const double n = bin.count * effective_share;
  if (n <= 0) return values;
  const Estimate share =
      WilsonEstimate(std::llround(bin.accuracy * n), std::max<int64_t>(1, std::llround(n)));
  values.accuracy_low = std::min(share.low.value_or(bin.accuracy), bin.accuracy);
  values.accuracy_high = std::max(share.high.value_or(bin.accuracy), bin.accuracy);
  return values;
}

SideValues ValuesOf(const CalibrationMetrics& metrics) {
  SideValues values;
  values.n = metrics.n;
  values.accuracy = metrics.accuracy;
  values.mean_confidence = metrics.mean_confidence;
  values.ece = metrics.ece;
  values.noise_floor = metrics.noise_floor;
  values.mce = metrics.mce;
  values.ece_low = metrics.ece_low;
  values.ece_high = metrics.ece_high;
  values.nll = metrics.nll;
  values.brier = metrics.brier;
  double count = 0;
  for (const ReliabilityBin& bin : metrics.bins) count += bin.count;
  const double effective_share = count > 0 ? std::min(1.0, metrics.n_effective / count) : 0;
  for (const ReliabilityBin& bin : metrics.bins) values.bins.push_back(ValuesOf(bin, effective_share));
  return values;
}

AlarmValues ValuesOf(const AlarmStatus& status) {
  AlarmValues values;
  values.e_overconfident = status.e_overconfident;
  values.e_underconfident = status.e_underconfident;
  values.threshold = status.threshold;
  values.tolerance = status.options.tolerance;
  values.alpha = status.options.alpha;
  values.labels = status.labels;
  if (!status.raised.has_value()) return values;
  values.raised = true;
  values.overconfident = status.raised->direction == GapDirection::kOverconfident;
  values.since_position = status.raised->since.position;
  values.since = absl::FromUnixMicros(status.raised->since.time_micros);
  values.change_position = status.raised->change_point.position;
  values.change = absl::FromUnixMicros(status.raised->change_point.time_micros);
  return values;
}

RequestTotals TotalsOf(const ServedModel& model) {
  RequestTotals totals;
  for (size_t rpc = 0; AsksForPredictions(static_cast<Rpc>(rpc)); ++rpc) {
    for (size_t code = 0; code < kStatusCodes; ++code) {
      const int64_t count =
          model.counters->outcomes().count(static_cast<Rpc>(rpc), static_cast<absl::StatusCode>(code));
      (code == 0 ? totals.answered : totals.failed) += count;
    }
  }
  totals.seconds = model.counters->total().values();
  const Batcher::Counters batches = model.batcher->counters();
  totals.batch_rows = batches.rows;
  for (const Batcher::BatchesOfSize& of_size : batches.by_rows) totals.batches += of_size.batches;
  return totals;
}

FitFigures FiguresOf(const CalibrationMetrics& metrics) {
  return {metrics.ece, metrics.nll, metrics.accuracy};
}

CalibratorValues ValuesOf(const CalibratorVersion& calibrator) {
  CalibratorValues values;
  values.model_version = calibrator.model_version;
  values.version = calibrator.version;
  values.method = MethodName(calibrator.spec.method);
  values.origin = calibrator.origin;
  values.digest = calibrator.digest;
  values.created = calibrator.created;
  values.activated = calibrator.activated;
  values.state = calibrator.state == CalibratorState::kActive
                     ? "ACTIVE"
                     : (calibrator.state == CalibratorState::kFitted ? "FITTED" : "RETIRED");
  for (const CalibratorSpec::Parameter& parameter : calibrator.spec.parameters) {
    values.parameters.push_back({parameter.name, parameter.values});
  }
  if (!calibrator.report.has_value()) return values;
  const FitReport& report = *calibrator.report;
  CalibratorValues::Fit& fit = values.fit.emplace();
  fit.n = report.n;
  fit.converged = report.converged;
  fit.at_bound = report.at_bound;
  fit.selected_optimistic = report.selected_optimistic;
  fit.iterations = report.iterations;
  fit.folds = report.folds;
  fit.holdout = report.holdout;
  fit.changed_predictions = report.changed_predictions;
  fit.before = FiguresOf(report.before);
  fit.after = FiguresOf(report.after);
  if (report.cross_validated.has_value()) fit.cross_validated = FiguresOf(*report.cross_validated);
  return values;
}

}  // namespace

Dashboard::Dashboard(Sources sources)
    : sources_(std::move(sources)), looking_(kLookEvery, [this](const std::stop_token&) { Look(); }) {}

void Dashboard::Look() {
  LowerOwnPriority(kNice);
  const std::vector<Snapshot> served = sources_.table.List();
  const absl::Time now = sources_.clock.Now();
  std::vector<DashboardHistory::Version> versions;
  versions.reserve(served.size());
  for (const Snapshot& snapshot : served) {
    versions.push_back({snapshot.model->name, snapshot.model->version, TotalsOf(*snapshot.model)});
  }
  history_.AddTotals(now, versions);
  if (!history_.PointsAreDue(now)) return;
  std::vector<std::pair<Watch, CalibrationPoint>> points;
  for (const Snapshot& snapshot : served) {
    for (const std::string& window : sources_.windows) {
      const absl::StatusOr<WindowReport> report = Report(snapshot, window);
      if (!report.ok()) continue;  // Cannot be: the windows are the monitor's.
      const CalibrationMetrics& as_served = report->served;
      CalibrationPoint point{now,           snapshot.calibrator->version, as_served.n,
                             as_served.ece, as_served.noise_floor,        report->uncalibrated.ece};
      point.ece_low = as_served.ece_low;
      point.ece_high = as_served.ece_high;
      points.emplace_back(Watch{snapshot.model->name, snapshot.model->version, window}, point);
    }
  }
  history_.AddPoints(now, points);
}

absl::StatusOr<WindowReport> Dashboard::Report(const Snapshot& snapshot, const std::string& window) const {
  ASSIGN_OR_RETURN(WindowReport report, sources_.hub.Newest(KeyOf(snapshot), window));
  AddEceInterval(&report.served);
  AddEceInterval(&report.uncalibrated);
  return report;
}

VersionValues Dashboard::Serving(const Snapshot& snapshot) const {
  const ServedModel& model = *snapshot.model;
  VersionValues values;
  values.version = model.version;
  values.state = std::string(StateName(VersionState::kReady));
  values.format = model.model->format();
  values.device = model.model->device();
  values.calibrator = snapshot.calibrator->version;
  values.method = MethodName(snapshot.calibrator->calibrator.spec().method);
  values.alarm = ValuesOf(sources_.monitor.Alarm(KeyOf(snapshot)));
  values.traffic = history_.Traffic(model.name, model.version);
  const absl::StatusOr<WindowReport> report = sources_.hub.Newest(KeyOf(snapshot), sources_.windows.front());
  if (!report.ok()) return values;
  values.window_labels = report->served.n;
  values.ece = report->served.ece;
  return values;
}

std::vector<ModelRow> Dashboard::Models() const {
  std::map<std::string, ModelRow> rows;
  for (const Snapshot& snapshot : sources_.table.List()) {
    rows[snapshot.model->name].versions.push_back(Serving(snapshot));
  }
  for (auto& [name, row] : rows) {
    const absl::StatusOr<Snapshot> choice = sources_.table.Find(name, 0);
    if (choice.ok()) row.default_version = choice->model->version;
  }
  for (const ModelStatus& status : sources_.repository.List()) {
    ModelRow& row = rows[status.name];
    row.reason = status.reason;
    for (const VersionStatus& version : status.versions) {
      auto known = std::find_if(row.versions.begin(), row.versions.end(), [&](const VersionValues& values) {
        return values.version == version.version;
      });
      // The table is the newer of the two: what it serves is ready.
      if (known == row.versions.end()) {
        known = row.versions.emplace(known);
        known->version = version.version;
        known->state = StateText(version);
        // The two are read one after the other: it may just have been withdrawn.
        if (version.state == VersionState::kReady)
          known->state = std::string(StateName(VersionState::kUnloading));
      }
      known->reason = version.reason;
      known->labels = version.labels;
    }
    std::sort(row.versions.begin(), row.versions.end(),
              [](const VersionValues& a, const VersionValues& b) { return a.version > b.version; });
  }
  std::vector<ModelRow> models;
  for (auto& [name, row] : rows) {
    row.name = name;
    models.push_back(std::move(row));
  }
  return models;
}

absl::Status Dashboard::Check(const Watch& watch) const {
  RETURN_IF_ERROR(FindWindow(watch.window).status());
  if (watch.model.empty() || sources_.table.Find(watch.model, watch.version).ok()) return absl::OkStatus();
  for (const ModelStatus& status : sources_.repository.List()) {
    if (status.name != watch.model) continue;
    const bool known = watch.version == 0 || std::any_of(status.versions.begin(), status.versions.end(),
                                                         [&watch](const VersionStatus& version) {
                                                           return version.version == watch.version;
                                                         });
    if (known) return absl::OkStatus();
    return absl::NotFoundError(absl::StrCat("model \"", watch.model, "\" has no version ", watch.version));
  }
  return absl::NotFoundError(absl::StrCat("there is no model \"", watch.model, "\""));
}

absl::StatusOr<std::string> Dashboard::FindWindow(const std::string& name) const {
  if (name.empty()) return sources_.windows.front();
  if (std::find(sources_.windows.begin(), sources_.windows.end(), name) != sources_.windows.end())
    return name;
  return absl::NotFoundError(
      absl::StrCat("there is no window \"", name, "\", only ", absl::StrJoin(sources_.windows, ", ")));
}

absl::StatusOr<std::pair<Snapshot, std::string>> Dashboard::Find(const Watch& watch) const {
  ASSIGN_OR_RETURN(std::string window, FindWindow(watch.window));
  std::string model = watch.model;
  if (model.empty()) {
    const std::vector<Snapshot> served = sources_.table.List();
    if (served.empty()) return absl::NotFoundError("no model serves");
    model = served.front().model->name;
  }
  ASSIGN_OR_RETURN(Snapshot snapshot, sources_.table.Find(model, watch.version));
  return std::make_pair(std::move(snapshot), std::move(window));
}

absl::StatusOr<WatchedValues> Dashboard::Watched(const Watch& watch) const {
  ASSIGN_OR_RETURN(const auto found, Find(watch));
  const auto& [snapshot, window] = found;
  ASSIGN_OR_RETURN(const WindowReport report, Report(snapshot, window));
  WatchedValues values;
  values.watch = {snapshot.model->name, snapshot.model->version, window};
  values.calibrator = snapshot.calibrator->version;
  values.method = MethodName(snapshot.calibrator->calibrator.spec().method);
  values.position = report.label_position;
  values.truncated = report.truncated;
  values.served = ValuesOf(report.served);
  values.uncalibrated = ValuesOf(report.uncalibrated);
  values.alarm = ValuesOf(report.alarm);
  const ConfidenceSums issued =
      sources_.table.Issued(report.key.model, report.key.model_version, report.key.calibrator_version);
  values.issued = issued.n;
  values.labelled = report.arrivals.labelled.n;
  values.selective = CompareLabelled(report.arrivals.labelled, issued) == LabelSelection::kSelectiveLabels;
  values.traffic = history_.Traffic(values.watch.model, values.watch.version);
  const Batcher::Counters now = snapshot.model->batcher->counters();
  values.traffic.queued_rows = now.queued_rows;
  values.traffic.instances = snapshot.model->batcher->options().instances;
  values.traffic.busy_instances = now.busy_instances;
  return values;
}

DashboardValues Dashboard::Values(const Watch& watch) const {
  DashboardValues values;
  values.not_ready = sources_.server.NotReady();
  values.catching_up = sources_.monitor.state().catching_up;
  values.windows = sources_.windows;
  values.models = Models();
  absl::StatusOr<WatchedValues> watched = Watched(watch);
  if (watched.ok()) values.watched = *std::move(watched);
  return values;
}

HistoryValues Dashboard::History(const Watch& watch, absl::Time since) const {
  const auto found = Find(watch);
  if (!found.ok()) return {};
  return history_.After({found->first.model->name, found->first.model->version, found->second}, since);
}

absl::StatusOr<std::vector<CalibratorValues>> Dashboard::Calibrators(const std::string& model,
                                                                     int64_t version) {
  ASSIGN_OR_RETURN(const Snapshot snapshot, sources_.table.Find(model, version));
  ASSIGN_OR_RETURN(const std::vector<CalibratorVersion> all, sources_.registry.List(snapshot.model->name));
  std::vector<CalibratorValues> values;
  for (const CalibratorVersion& calibrator : all) {
    if (calibrator.model_version == snapshot.model->version) values.push_back(ValuesOf(calibrator));
  }
  return values;
}

absl::Status Dashboard::Activate(const std::string& model, int64_t version, int64_t calibrator,
                                 int64_t expected_active) {
  ASSIGN_OR_RETURN(const Snapshot snapshot, sources_.table.Find(model, version));
  return sources_.registry
      .Activate(snapshot.model->name, snapshot.model->version, calibrator, expected_active)
      .status();
}

absl::Status Dashboard::Rollback(const std::string& model, int64_t version, int64_t expected_active) {
  ASSIGN_OR_RETURN(const Snapshot snapshot, sources_.table.Find(model, version));
  return sources_.registry.Rollback(snapshot.model->name, snapshot.model->version, expected_active).status();
}

}  // namespace calserve
