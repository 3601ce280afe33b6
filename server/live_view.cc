#include "server/live_view.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include "server/model/device_memory.h"

namespace calserve {
namespace {

std::vector<RequestCount> CountsOf(const OutcomeCounters& outcomes) {
  std::vector<RequestCount> counts;
  for (size_t rpc = 0; rpc < kRpcNames.size(); ++rpc) {
    for (size_t code = 0; code < kStatusCodes; ++code) {
      const RequestCount of{static_cast<Rpc>(rpc), static_cast<absl::StatusCode>(code),
                            outcomes.count(static_cast<Rpc>(rpc), static_cast<absl::StatusCode>(code))};
      if (of.count > 0) counts.push_back(of);
    }
  }
  return counts;
}

// Of exact counts by rows: 1, 2, 4, ... up to the largest batch.
HistogramValues BatchRows(const Batcher::Counters& batches, int max_batch_size) {
  HistogramValues rows;
  for (int64_t bound = 1; bound < max_batch_size; bound *= 2)
    rows.bounds.push_back(static_cast<double>(bound));
  rows.bounds.push_back(max_batch_size);
  rows.counts.resize(rows.bounds.size() + 1);
  for (size_t i = 0; i < batches.by_rows.size(); ++i) {
    const auto bucket = std::lower_bound(rows.bounds.begin(), rows.bounds.end(), static_cast<double>(i + 1));
    rows.counts[bucket - rows.bounds.begin()] += batches.by_rows[i].batches;
  }
  rows.sum = static_cast<double>(batches.rows);
  return rows;
}

ModelValues ValuesOf(const ServedModel& model) {
  const RequestCounters& counters = *model.counters;
  const Batcher::Counters batches = model.batcher->counters();
  ModelValues values;
  values.model = model.name;
  values.version = model.version;
  values.requests = CountsOf(counters.outcomes());
  values.rows = counters.rows();
  values.time.receive = absl::ToDoubleSeconds(counters.receive_time());
  values.time.queue = absl::ToDoubleSeconds(counters.queue().total());
  values.time.decode = absl::ToDoubleSeconds(counters.preprocess_cost());
  values.time.compute = absl::ToDoubleSeconds(counters.model_cost());
  values.time.calibrate = absl::ToDoubleSeconds(counters.calibrate().total());
  values.time.respond = absl::ToDoubleSeconds(counters.respond().total());
  values.queue = counters.queue().values();
  values.decode = counters.preprocess().values();
  values.compute = counters.model().values();
  values.calibrate = counters.calibrate().values();
  values.respond = counters.respond().values();
  values.total = counters.total().values();
  values.batch_rows = BatchRows(batches, model.batcher->options().max_batch_size);
  absl::Duration ran;
  for (const Batcher::BatchesOfSize& of_size : batches.by_rows) ran += of_size.ran;
  values.batch_seconds = absl::ToDoubleSeconds(ran);
  values.turn_wait_seconds = absl::ToDoubleSeconds(batches.turn_wait);
  values.refused = batches.refused;
  values.expired = batches.expired;
  values.cancelled = batches.cancelled;
  values.failed = batches.failed;
  values.queued_rows = batches.queued_rows;
  values.queued_bytes = batches.queued_bytes;
  values.instances = model.batcher->options().instances;
  values.busy_instances = batches.busy_instances;
  values.longest_run_seconds = absl::ToDoubleSeconds(batches.longest_run);
  return values;
}

FeedbackValues ValuesOf(FeedbackIngestor::Counters counters) {
  FeedbackValues values;
  values.accepted = counters.accepted;
  values.duplicate = counters.duplicate;
  values.rejected = counters.rejected;
  values.label_conflict = counters.label_conflict;
  values.queued_labels = counters.queued_labels;
  values.label_delay = std::move(counters.label_delay);
  values.commit = std::move(counters.commit);
  return values;
}

}  // namespace

void LiveView::SetReady() {
  MutexLock lock(&ready_mu_);
  not_ready_.reset();
}

void LiveView::SetNotReady(std::string reason) {
  MutexLock lock(&ready_mu_);
  not_ready_ = std::move(reason);
}

std::optional<std::string> LiveView::NotReady() const {
  MutexLock lock(&ready_mu_);
  return not_ready_;
}

ServerValues LiveView::Values() const {
  const std::vector<Snapshot> served = table_.List();
  ServerValues values;
  for (const Snapshot& snapshot : served) values.models.push_back(ValuesOf(*snapshot.model));
  values.unserved_requests = CountsOf(predictor_.unserved());
  values.queued_images = predictor_.queued_images();
  values.feedback = ValuesOf(ingestor_.counters());
  values.calibration = Calibration(served);
  values.alarms = Alarms(served);
  values.slices = Slices(served);
  values.refits = Refits(served);
  values.devices = Devices(served);
  values.versions = Versions();
  const MonitorState monitored = monitor_.state();
  values.monitored_keys = monitored.keys;
  values.dropped_keys = monitored.dropped_keys;
  values.catching_up = monitored.catching_up;
  values.log_fails = !monitored.log.ok();
  values.checkpoint_fails = !monitored.checkpoint.ok();
  return values;
}

std::vector<VersionStateValues> LiveView::Versions() const {
  std::vector<VersionStateValues> states;
  for (const ModelStatus& model : repository_.List()) {
    bool wanted = !repository_.takes_calls();  // Else a directory that nobody asked for may lie there.
    for (const VersionStatus& version : model.versions) {
      states.push_back({model.name, version.version, StateText(version), version.failed, version.wanted});
      wanted = wanted || version.wanted;
    }
    if (!model.reason.empty()) states.push_back({model.name, std::nullopt, "FAILED", true, wanted});
  }
  return states;
}

std::vector<CalibrationValues> LiveView::Calibration(const std::vector<Snapshot>& served) const {
  std::vector<CalibrationValues> all;
  for (const Snapshot& snapshot : served) {
    const MonitorKey key{snapshot.model->name, snapshot.model->version, snapshot.calibrator->version};
    for (const std::string& window : windows_) {
      absl::StatusOr<WindowReport> report = hub_.Newest(key, window);
      if (!report.ok()) continue;  // Cannot be: the windows are the monitor's.
      AddEceInterval(&report->served);
      const CalibrationMetrics& served_as = report->served;
      CalibrationValues& values = all.emplace_back();
      values.model = key.model;
      values.version = key.model_version;
      values.calibrator = key.calibrator_version;
      values.window = window;
      values.labels = served_as.n;
      values.ece = served_as.ece;
      values.ece_low = served_as.ece_low;
      values.ece_high = served_as.ece_high;
      values.noise_floor = served_as.noise_floor;
      values.mce = served_as.mce;
      values.nll = served_as.nll;
      values.accuracy = served_as.accuracy;
      values.mean_confidence = served_as.mean_confidence;
      for (const auto& [threshold, counts] : report->set_coverage) {
        const double n = static_cast<double>(counts.n);
        values.sets.push_back({ScoreName(threshold.score), threshold.alpha,
                               static_cast<double>(counts.covered) / n,
                               static_cast<double>(counts.size) / n});
      }
      if (report->weighted.has_value()) {
        values.weighted = {report->weighted->accuracy.value, report->weighted->confidence_gap.value,
                           report->weighted->ece};
      }
    }
  }
  return all;
}

std::vector<AlarmFigures> LiveView::Alarms(const std::vector<Snapshot>& served) const {
  std::vector<AlarmFigures> all;
  for (const Snapshot& snapshot : served) {
    const MonitorKey key{snapshot.model->name, snapshot.model->version, snapshot.calibrator->version};
    const AlarmStatus status = monitor_.Alarm(key);
    all.push_back({key.model, key.model_version, key.calibrator_version, status.raised.has_value(),
                   status.e_overconfident, status.e_underconfident, status.threshold});
  }
  return all;
}

std::vector<SliceValues> LiveView::Slices(const std::vector<Snapshot>& served) const {
  std::vector<SliceValues> all;
  if (slice_metrics_ == "none") return all;
  for (const Snapshot& snapshot : served) {
    MonitorKey key{snapshot.model->name, snapshot.model->version, snapshot.calibrator->version};
    for (Slice& slice : monitor_.Slices(key.model).slices()) {
      key.slice = std::move(slice);
      const bool raised = monitor_.Alarm(key).raised.has_value();
      if (monitor_.Revision(key).label_position == 0 && !raised) continue;  // Of another calibrator alone.
      SliceValues values{key.model, key.model_version, key.calibrator_version, key.slice.key,
                         key.slice.value};
      values.alarm = raised;
      if (slice_metrics_ == "all") {
        const absl::StatusOr<WindowReport> report = hub_.Newest(key, windows_.front());
        if (!report.ok()) continue;  // Cannot be: the windows are the monitor's.
        values.window = report->window;
        values.labels = report->served.n;
        values.ece = report->served.ece;
      }
      all.push_back(std::move(values));
    }
  }
  return all;
}

std::vector<RefitValues> LiveView::Refits(const std::vector<Snapshot>& served) const {
  std::vector<RefitValues> all;
  const auto counters = refits_.counters();
  for (const Snapshot& snapshot : served) {
    const auto of = counters.find({snapshot.model->name, snapshot.model->version});
    if (of == counters.end()) continue;
    const RefitCounters& ended = of->second;
    all.push_back({of->first.first, of->first.second, ended.activated, ended.rolled_back, ended.kept,
                   ended.superseded, ended.failed, ended.last});
  }
  return all;
}

std::vector<DeviceValues> LiveView::Devices(const std::vector<Snapshot>& served) {
  std::set<std::string> names;
  for (const Snapshot& snapshot : served) names.insert(snapshot.model->model->device());
  std::vector<DeviceValues> all;
  for (const std::string& name : names) {
    const std::optional<DeviceMemory> memory = DeviceMemoryOf(name);
    if (!memory.has_value()) continue;
    all.push_back(
        {name, memory->allocated_bytes, memory->reserved_bytes, memory->free_bytes, memory->size_bytes});
  }
  return all;
}

}  // namespace calserve
