#include "server/recalibration/calibrator_registry.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/recalibration/stored_report.h"
#include "server/recalibration/stored_rows.h"

namespace calserve {
namespace {

// One fit that was asked for.
struct FitJob {
  // Told the rows read; false: cancelled.
  using ReadProgress = std::function<bool(int64_t rows)>;

  CalibrationTarget target;
  CalibrationMethod method = CalibrationMethod::kNone;
  FitOptions options;
  int64_t max_rows = 0;
  absl::AnyInvocable<absl::StatusOr<LabelledLogits>(const ReadProgress&) &&> read;
  CalibratorRegistry::Progress progress;
};

class Registry final : public CalibratorRegistry {
 public:
  Registry(const RecalibrationOptions& options, Store& store, const Clock& clock, OnActivate on_activate)
      : options_(options),
        store_(store),
        clock_(clock),
        versions_(store, clock, std::move(on_activate), options.shadows),
        worker_(options.max_queued_fits) {}
  // The fits that wait find themselves cancelled.
  ~Registry() override { stopping_.store(true, std::memory_order_relaxed); }

  absl::StatusOr<CalibratorVersion> AddModelVersion(const CalibrationTarget& target, const std::string& json,
                                                    const OnActivate& install) override {
    return versions_.AddModelVersion(target, json, install);
  }
  void FitStored(const CalibrationTarget& target, CalibrationMethod method, const FitOptions& options,
                 LogSelection selection, int64_t max_rows, Progress progress, FitDone done) override;
  void FitUploaded(const CalibrationTarget& target, CalibrationMethod method, const FitOptions& options,
                   LabelledLogits data, Progress progress, FitDone done) override;

  bool RunOnFitThread(LowPriorityWorker::Task&& work) override { return worker_.TryRun(std::move(work)); }
  absl::StatusOr<CalibratorVersion> FitNow(const CalibrationTarget& target, CalibrationMethod method,
                                           const FitOptions& options, const LabelledLogits& data,
                                           std::function<bool()> go_on) override;

  absl::StatusOr<std::vector<CalibratorVersion>> List(const std::string& model) override {
    return versions_.List(model);
  }
  CalibratorVersion Active(const std::string& model, int64_t model_version) override {
    return versions_.Active(model, model_version);
  }
  absl::StatusOr<CalibratorVersion> Activate(const std::string& model, int64_t model_version, int64_t version,
                                             int64_t expected_active) override {
    return versions_.Activate(model, model_version, version, expected_active);
  }
  absl::StatusOr<CalibratorVersion> Rollback(const std::string& model, int64_t model_version,
                                             int64_t expected_active) override {
    return versions_.Rollback(model, model_version, expected_active);
  }
  absl::StatusOr<CalibratorVersion> Get(const std::string& model, int64_t model_version,
                                        int64_t version) override {
    return versions_.Get(model, model_version, version);
  }
  absl::StatusOr<std::shared_ptr<const Calibrator>> Find(const std::string& model, int64_t model_version,
                                                         int64_t version) override {
    return versions_.Find(model, model_version, version);
  }
  std::shared_ptr<const ShadowList> Shadows() const override { return versions_.Shadows(); }
  absl::StatusOr<PairedResult> Compare(const CalibrationTarget& target, int64_t incumbent, int64_t candidate,
                                       int64_t max_rows, const std::function<bool()>& go_on) override;
  absl::StatusOr<StoredReport> ReportStored(const LogSelection& selection,
                                            StoredMetricsOptions options) override;

 private:
  absl::StatusOr<int64_t> RowLimit(int64_t max_rows) const;
  absl::Status CheckUploaded(const CalibrationTarget& target, const LabelledLogits& data) const;
  // What the logits leave of fit_max_bytes. At least 1: 0 is no limit.
  int64_t BytesBesideLogits(const LabelledLogits& data) const {
    const auto taken = static_cast<int64_t>(data.logits.size() * sizeof(float));
    return std::max<int64_t>(1, options_.fit_max_bytes - taken);
  }
  void Enqueue(FitJob job, FitDone done);
  absl::StatusOr<CalibratorVersion> Run(FitJob job);

  const RecalibrationOptions options_;
  Store& store_;
  const Clock& clock_;
  CalibratorVersions versions_;
  std::atomic<bool> stopping_{false};
  LowPriorityWorker worker_;  // Last: stopped before anything its fits use is destroyed.
};

absl::StatusOr<int64_t> Registry::RowLimit(int64_t max_rows) const {
  if (max_rows >= 0 && max_rows <= options_.fit_max_rows)
    return max_rows == 0 ? options_.fit_max_rows : max_rows;
  return absl::InvalidArgumentError(absl::StrCat("max_rows must be 0 (the most) to ", options_.fit_max_rows,
                                                 " (fit_max_rows); was ", max_rows));
}

absl::Status Registry::CheckUploaded(const CalibrationTarget& target, const LabelledLogits& data) const {
  const bool one_logit = data.columns == 1 && target.classes == 2;
  if (data.columns != target.classes && !one_logit) {
    return absl::InvalidArgumentError(absl::StrCat("an example has ", data.columns, " logits; model ",
                                                   target.model, " has ", target.classes, " classes"));
  }
  const auto rows = static_cast<int64_t>(data.labels.size());
  const auto values = static_cast<int64_t>(data.logits.size());
  if (values != rows * data.columns) {
    return absl::InvalidArgumentError(absl::StrCat(rows, " labels and ", values, " logits in rows of ",
                                                   data.columns, " do not belong together"));
  }
  if (rows > options_.fit_max_rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("a fit may have ", options_.fit_max_rows, " rows (fit_max_rows); there are ", rows));
  }
  const int64_t bytes = values * static_cast<int64_t>(sizeof(float));
  if (bytes > options_.fit_max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("the logits of a fit may take ", options_.fit_max_bytes,
                                                   " bytes (fit_max_bytes); they take ", bytes));
  }
  return absl::OkStatus();
}

void Registry::FitStored(const CalibrationTarget& target, CalibrationMethod method, const FitOptions& options,
                         LogSelection selection, int64_t max_rows, Progress progress, FitDone done) {
  const absl::StatusOr<int64_t> rows = RowLimit(max_rows);
  if (!rows.ok()) return std::move(done)(rows.status());
  const FitLimits limits{*rows, options_.fit_max_bytes};
  auto read = [this, target, selection = std::move(selection), limits](const FitJob::ReadProgress& told) {
    return ReadLabelledLogits(store_, target, selection, limits, told);
  };
  Enqueue({target, method, options, *rows, std::move(read), std::move(progress)}, std::move(done));
}

void Registry::FitUploaded(const CalibrationTarget& target, CalibrationMethod method,
                           const FitOptions& options, LabelledLogits data, Progress progress, FitDone done) {
  if (const absl::Status status = CheckUploaded(target, data); !status.ok()) return std::move(done)(status);
  const auto rows = static_cast<int64_t>(data.labels.size());
  auto read =
      [this, data = std::move(data)](const FitJob::ReadProgress&) mutable -> absl::StatusOr<LabelledLogits> {
    // Where they come from is not known: no label that is there already may judge them.
    ASSIGN_OR_RETURN(const LogHead head, store_.Head());
    data.position = head.next_position - 1;
    return std::move(data);
  };
  Enqueue({target, method, options, rows, std::move(read), std::move(progress)}, std::move(done));
}

void Registry::Enqueue(FitJob job, FitDone done) {
  // Kept apart from the task, which cannot give back what it took when the queue is full.
  auto waiting = std::make_shared<std::pair<FitJob, FitDone>>(std::move(job), std::move(done));
  const bool queued =
      worker_.TryRun([this, waiting] { std::move(waiting->second)(Run(std::move(waiting->first))); });
  if (queued) return;
  std::move(waiting->second)(WithReason(absl::ResourceExhaustedError(absl::StrCat(
                                            options_.max_queued_fits, " fits wait already; try again later")),
                                        "FIT_QUEUE_FULL"));
}

absl::StatusOr<CalibratorVersion> Registry::Run(FitJob job) {
  int64_t rows = 0;
  const auto go_on = [&](const std::string& stage, double fraction) {
    if (stopping_.load(std::memory_order_relaxed)) return false;
    return job.progress == nullptr || job.progress(stage, fraction, rows);
  };
  const auto read = [&](int64_t read_rows) {
    rows = read_rows;
    return go_on("reading", std::min(1.0, static_cast<double>(rows) / static_cast<double>(job.max_rows)));
  };
  if (!go_on("reading", 0)) return absl::CancelledError("the fit was cancelled before it began");
  ASSIGN_OR_RETURN(const LabelledLogits data, std::move(job.read)(read));
  rows = static_cast<int64_t>(data.labels.size());
  job.options.progress = go_on;
  job.options.max_bytes = BytesBesideLogits(data);
  ASSIGN_OR_RETURN(FitResult fit,
                   FitCalibrator(job.method, LogitsView(absl::MakeConstSpan(data.logits), data.columns),
                                 data.labels, job.options));
  if (!go_on("storing", 0)) return absl::CancelledError("the fit was cancelled before it was stored");
  return versions_.AddFitted(job.target, std::move(fit), data.position);
}

absl::StatusOr<CalibratorVersion> Registry::FitNow(const CalibrationTarget& target, CalibrationMethod method,
                                                   const FitOptions& options, const LabelledLogits& data,
                                                   std::function<bool()> go_on) {
  FitOptions told = options;
  told.max_bytes = BytesBesideLogits(data);
  told.progress = [this, go_on = std::move(go_on)](const std::string&, double) {
    return !stopping_.load(std::memory_order_relaxed) && go_on();
  };
  ASSIGN_OR_RETURN(
      FitResult fit,
      FitCalibrator(method, LogitsView(absl::MakeConstSpan(data.logits), data.columns), data.labels, told));
  return versions_.AddFitted(target, std::move(fit), data.position);
}

absl::StatusOr<PairedResult> Registry::Compare(const CalibrationTarget& target, int64_t incumbent,
                                               int64_t candidate, int64_t max_rows,
                                               const std::function<bool()>& go_on) {
  PairedLabels labels;
  labels.max_rows = max_rows;
  std::vector<Calibrator> both;
  for (const int64_t version : {incumbent, candidate}) {
    if (version == 0) {
      both.push_back(Calibrator::None(target.classes));
      continue;
    }
    ASSIGN_OR_RETURN(CalibratorVersion found, versions_.Get(target.model, target.model_version, version));
    labels.after_position = std::max(labels.after_position, found.fit_position);
    ASSIGN_OR_RETURN(Calibrator calibrator, Calibrator::Create(std::move(found.spec)));
    both.push_back(std::move(calibrator));
  }
  return CompareStored(store_, target, labels, both[0], both[1], go_on);
}

absl::StatusOr<CalibratorRegistry::StoredReport> Registry::ReportStored(const LogSelection& selection,
                                                                        StoredMetricsOptions options) {
  ASSIGN_OR_RETURN(options.max_rows, RowLimit(options.max_rows));
  const CalibratorLookup lookup = [this](const std::string& model, int64_t model_version, int64_t version) {
    return versions_.Find(model, model_version, version);
  };
  ASSIGN_OR_RETURN(StoredMetrics metrics, MeasureStored(store_, selection, options, lookup));
  return StoredReport{metrics.position,
                      clock_.Now(),
                      std::move(metrics.served),
                      std::move(metrics.uncalibrated),
                      std::move(metrics.served_details),
                      std::move(metrics.uncalibrated_details),
                      std::move(metrics.set_coverage),
                      metrics.weighted};
}

}  // namespace

absl::StatusOr<std::unique_ptr<CalibratorRegistry>> CalibratorRegistry::Create(
    const RecalibrationOptions& options, Store& store, const Clock& clock, OnActivate on_activate) {
  if (options.fit_max_rows < 1) {
    return absl::InvalidArgumentError(absl::StrCat("fit_max_rows must be >= 1; was ", options.fit_max_rows));
  }
  if (options.fit_max_bytes < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("fit_max_bytes must be >= 1; was ", options.fit_max_bytes));
  }
  if (options.max_queued_fits < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_queued_fits must be >= 1; was ", options.max_queued_fits));
  }
  return std::make_unique<Registry>(options, store, clock, std::move(on_activate));
}

}  // namespace calserve
