#include "server/recalibration/refit_controller.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "calibration/set_alphas.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/logging/log.h"
#include "server/recalibration/paired_rows.h"
#include "server/recalibration/refit_observer.h"

namespace calserve {
namespace {

using Kind = RefitAttempt::Kind;
using Outcome = RefitAttempt::Outcome;
using ModelVersion = std::pair<std::string, int64_t>;

constexpr absl::Duration kFoldWait = absl::Seconds(1);

// Whoever asks the incumbent for prediction sets gets them of its successor too; without any, those that
// FitCalibrator takes where nothing is said.
FitOptions FitOptionsAfter(const Calibrator& incumbent) {
  std::set<double> alphas;
  for (const SetThreshold& threshold : incumbent.spec().set_thresholds) alphas.insert(threshold.alpha);
  if (alphas.empty()) alphas.insert(std::begin(kDefaultSetAlphas), std::end(kDefaultSetAlphas));
  FitOptions options;
  options.set_alphas.assign(alphas.rbegin(), alphas.rend());
  return options;
}

class Controller final : public RefitController {
 public:
  Controller(const Options& options, const RefitSettings& settings, CalibratorRegistry& registry,
             CalibrationMonitor& monitor, Store& store, const Clock& clock, Hooks hooks)
      : options_(options),
        settings_(settings),
        registry_(registry),
        monitor_(monitor),
        store_(store),
        clock_(clock),
        hooks_(std::move(hooks)),
        observer_(registry, monitor, store, clock, hooks_.selection),
        shared_(std::make_shared<Shared>()),
        thread_([this] { Run(); }) {}
  ~Controller() override;

  void Notify() override {
    MutexLock lock(&shared_->mu);
    shared_->notified = true;
    shared_->changed.SignalAll();
  }
  void StopAttempts() override;
  absl::StatusOr<RefitStatus> Status(const CalibrationTarget& target) override;
  std::map<ModelVersion, RefitCounters> counters() const override { return counts_.All(); }

 private:
  // Outlives the controller where an attempt still waits for the fit thread.
  struct Shared {
    mutable Mutex mu;
    CondVar changed;
    bool notified ABSL_GUARDED_BY(mu) = true;  // The first look is at the start.
    bool stopping ABSL_GUARDED_BY(mu) = false;
    bool queued ABSL_GUARDED_BY(mu) = false;   // an attempt waits for the fit thread, or runs
    bool running ABSL_GUARDED_BY(mu) = false;  // on it
    ModelVersion of ABSL_GUARDED_BY(mu);       // the one that is queued
    // Where the labels did not suffice: no look needs to count them before the log has grown to there.
    struct Counted {
      int64_t incumbent = 0, attempt = 0, until = 0;
    };
    std::map<ModelVersion, Counted> counted ABSL_GUARDED_BY(mu);
    std::map<ModelVersion, std::string> failures ABSL_GUARDED_BY(mu);  // of the last fit
  };

  void Run();
  // False once attempts are stopped.
  bool WaitUntilDue(absl::Time due);
  // Looks at every served version; returns when to look again without a label.
  absl::Time LookAtAll();
  absl::StatusOr<RefitLook> LookAt(const CalibrationTarget& target);
  int64_t LabelsMissing(const RefitLook& look) const;
  void Enqueue(const RefitLook& look);

  // On the fit thread.
  void Attempt(const RefitLook& look);
  absl::Status TryAttempt(const RefitLook& look);
  absl::StatusOr<CalibratorVersion> Candidate(const RefitLook& look, const SplitLabels& split);
  absl::Status JudgeCandidate(const RefitLook& look, const CalibratorVersion& candidate, PairedLabels labels);
  absl::Status Conclude(const RefitLook& look, const RefitVerdict& verdict, RefitAttempt& attempt);
  absl::StatusOr<std::shared_ptr<const Calibrator>> CalibratorOf(const CalibrationTarget& target,
                                                                 int64_t version);
  void Wait(const RefitLook& look, int64_t missing);
  bool GoOn() const { return !stopping_.load(std::memory_order_relaxed); }

  const Options options_;
  const RefitSettings& settings_;
  CalibratorRegistry& registry_;
  CalibrationMonitor& monitor_;
  Store& store_;
  const Clock& clock_;
  const Hooks hooks_;
  const RefitObserver observer_;
  RefitCounts counts_;
  std::atomic<bool> stopping_{false};
  const std::shared_ptr<Shared> shared_;
  std::thread thread_;  // Last: joined before what it uses goes.
};

void Controller::StopAttempts() {
  stopping_.store(true, std::memory_order_relaxed);
  MutexLock lock(&shared_->mu);
  shared_->stopping = true;
  shared_->changed.SignalAll();
}

Controller::~Controller() {
  StopAttempts();
  {
    MutexLock lock(&shared_->mu);
    while (shared_->running) shared_->changed.Wait(&shared_->mu);
  }
  thread_.join();
}

void Controller::Run() {
  absl::Time due = absl::InfiniteFuture();
  while (WaitUntilDue(due)) due = LookAtAll();
}

bool Controller::WaitUntilDue(absl::Time due) {
  MutexLock lock(&shared_->mu);
  const auto pause_ends = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options_.pause);
  while (!shared_->stopping) {
    const absl::Duration paused = absl::FromChrono(pause_ends - std::chrono::steady_clock::now());
    if (paused > absl::ZeroDuration()) {
      shared_->changed.WaitFor(&shared_->mu, paused);
    } else if (shared_->notified || clock_.Now() >= due) {
      shared_->notified = false;
      return true;
    } else {
      shared_->changed.WaitFor(&shared_->mu, due - clock_.Now());
    }
  }
  return false;
}

absl::Time Controller::LookAtAll() {
  absl::Time due = absl::InfiniteFuture();
  const absl::StatusOr<LogHead> head = store_.Head();
  // What the alarm says must be of the labels that are there.
  if (!head.ok() || monitor_.state().catching_up ||
      !monitor_.WaitForPosition(head->next_position - 1, kFoldWait)) {
    return clock_.Now() + options_.pause;
  }
  for (const CalibrationTarget& target : hooks_.served()) {
    if (settings_.Of(target.model).value_or(RefitPolicy()).on == RefitPolicy::On::kNever) {
      counts_.ForgetLast({target.model, target.model_version});
      continue;
    }
    counts_.Show({target.model, target.model_version});
    const absl::StatusOr<RefitLook> look = LookAt(target);
    if (!look.ok()) {
      LogWarning(
          "refit",
          {{"model", target.model}, {"version", target.model_version}, {"error", look.status().message()}});
      due = std::min(due, clock_.Now() + absl::Minutes(1));
      continue;
    }
    due = std::min(due, look->step.not_before);
    if (look->step.state == RefitState::kGathering && LabelsMissing(*look) == 0) Enqueue(*look);
  }
  return due;
}

absl::StatusOr<RefitLook> Controller::LookAt(const CalibrationTarget& target) {
  const auto under_way = [&] {
    MutexLock lock(&shared_->mu);
    return shared_->queued && shared_->of == ModelVersion(target.model, target.model_version);
  };
  return observer_.Look(target, settings_.Of(target.model).value_or(RefitPolicy()), under_way);
}

int64_t Controller::LabelsMissing(const RefitLook& look) const {
  // Positions count labels of every model: an attempt needs at least so many more.
  int64_t missing = look.step.least_judge - (look.log_end - look.step.judge_after);
  MutexLock lock(&shared_->mu);
  const auto counted = shared_->counted.find({look.target.model, look.target.model_version});
  if (counted != shared_->counted.end() && counted->second.incumbent == look.incumbent &&
      counted->second.attempt == look.step.attempt) {
    missing = std::max(missing, counted->second.until - look.log_end);
  }
  return std::max<int64_t>(0, missing);
}

void Controller::Enqueue(const RefitLook& look) {
  {
    MutexLock lock(&shared_->mu);
    if (shared_->queued || shared_->stopping) return;
    shared_->queued = true;
    shared_->of = {look.target.model, look.target.model_version};
  }
  const auto end = [](Shared& shared) {
    MutexLock lock(&shared.mu);
    shared.queued = shared.running = false;
    shared.notified = true;
    shared.changed.SignalAll();
  };
  LowPriorityWorker::Task task = [this, end, look, shared = shared_] {
    bool stopping = false;
    {
      MutexLock lock(&shared->mu);
      stopping = shared->stopping;
      shared->running = !stopping;
    }
    if (!stopping) Attempt(look);  // The controller waits for it.
    end(*shared);
  };
  if (!registry_.RunOnFitThread(std::move(task))) end(*shared_);  // Looked at again with the next label.
}

void Controller::Attempt(const RefitLook& look) {
  const ModelVersion of{look.target.model, look.target.model_version};
  const absl::Status status = TryAttempt(look);
  std::string failure;
  if (!status.ok() && GoOn()) {
    failure = std::string(status.message());
    LogWarning("refit failed", {{"model", look.target.model},
                                {"version", look.target.model_version},
                                {"attempt", look.step.attempt},
                                {"error", failure}});
    Wait(look, look.policy.least_labels);
  }
  if (!failure.empty()) counts_.Count(of, &RefitCounters::failed, "failed");
  MutexLock lock(&shared_->mu);
  if (status.ok()) {
    shared_->failures.erase(of);
  } else {
    shared_->failures[of] = failure;
  }
}

absl::Status Controller::TryAttempt(const RefitLook& look) {
  const auto go_on = [this] { return GoOn(); };
  const bool rollback = look.step.kind == Kind::kRollback;
  const int64_t row_bytes = static_cast<int64_t>(sizeof(float)) * look.target.classes;
  SplitSelection selection;
  selection.judge_after = look.step.judge_after;
  selection.fit_after = rollback ? look.step.judge_after : look.step.fit_after;
  selection.judging_share = rollback ? 1 : look.policy.holdout;
  selection.max_rows = std::min(options_.max_rows, options_.max_bytes / row_bytes);
  ASSIGN_OR_RETURN(const SplitLabels split, ReadSplit(store_, look.target, selection, go_on));
  const auto fit_rows = static_cast<int64_t>(split.fit.labels.size());
  const int64_t missing = std::max(look.step.least_judge - split.judges, look.step.least_fit - fit_rows);
  if (missing > 0) {
    Wait(look, missing);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const CalibratorVersion candidate, Candidate(look, split));
  monitor_.Notify();  // It is a shadow now.
  PairedLabels labels;
  labels.after_position = look.step.judge_after;
  labels.last_position = split.last_position;
  labels.max_rows = selection.max_rows;
  labels.judging_share = selection.judging_share;
  return JudgeCandidate(look, candidate, labels);
}

absl::StatusOr<CalibratorVersion> Controller::Candidate(const RefitLook& look, const SplitLabels& split) {
  if (look.step.kind == Kind::kRefit) {
    ASSIGN_OR_RETURN(const auto incumbent, CalibratorOf(look.target, look.incumbent));
    return registry_.FitNow(look.target, look.policy.method, FitOptionsAfter(*incumbent), split.fit,
                            [this] { return GoOn(); });
  }
  if (look.previous != 0) return registry_.Get(look.target.model, look.target.model_version, look.previous);
  CalibratorVersion softmax;
  softmax.spec = Calibrator::None(look.target.classes).spec();
  return softmax;
}

absl::StatusOr<std::shared_ptr<const Calibrator>> Controller::CalibratorOf(const CalibrationTarget& target,
                                                                           int64_t version) {
  if (version == 0) return std::make_shared<const Calibrator>(Calibrator::None(target.classes));
  ASSIGN_OR_RETURN(std::shared_ptr<const Calibrator> found,
                   registry_.Find(target.model, target.model_version, version));
  if (found == nullptr) return absl::NotFoundError(absl::StrCat("there is no calibrator version ", version));
  return found;
}

absl::Status Controller::JudgeCandidate(const RefitLook& look, const CalibratorVersion& candidate,
                                        PairedLabels labels) {
  ASSIGN_OR_RETURN(const auto incumbent, CalibratorOf(look.target, look.incumbent));
  ASSIGN_OR_RETURN(const auto challenger, CalibratorOf(look.target, candidate.version));
  RefitAttempt attempt;
  attempt.model = look.target.model;
  attempt.model_version = look.target.model_version;
  attempt.incumbent = look.incumbent;
  attempt.attempt = look.step.attempt;
  attempt.kind = look.step.kind;
  attempt.candidate = candidate.version;
  attempt.judged_position = labels.last_position;
  attempt.reason = "being judged";
  attempt.time = absl::FromUnixMicros(absl::ToUnixMicros(clock_.Now()));
  // Before any of them is looked at: they are spent whatever happens from here on.
  RETURN_IF_ERROR(store_.SaveRefitAttempt(attempt));
  const absl::StatusOr<PairedResult> judged =
      CompareStored(store_, look.target, labels, *incumbent, *challenger, [this] { return GoOn(); });
  if (!judged.ok()) {
    if (!GoOn()) return judged.status();  // Noted at the next start.
    attempt.outcome = Outcome::kInterrupted;
    attempt.reason = absl::StrCat("could not be judged: ", judged.status().message());
    RETURN_IF_ERROR(store_.SaveRefitAttempt(attempt));
    return judged.status();
  }
  RefitVerdict verdict = Judge(look.policy, look.step.attempt, judged->paired);
  if (candidate.version == look.incumbent) verdict = {false, "the fit gave the active calibrator again"};
  return Conclude(look, verdict, attempt);
}

absl::Status Controller::Conclude(const RefitLook& look, const RefitVerdict& verdict, RefitAttempt& attempt) {
  attempt.outcome = Outcome::kKept;
  attempt.reason = verdict.reason;
  if (verdict.won) {
    const absl::Status activated =
        registry_.Activate(attempt.model, attempt.model_version, attempt.candidate, attempt.incumbent)
            .status();
    if (!activated.ok() && !absl::IsAborted(activated)) return activated;
    attempt.outcome = activated.ok() ? Outcome::kActivated : Outcome::kSuperseded;
    if (activated.ok()) hooks_.activated();
    if (!activated.ok()) attempt.reason = absl::StrCat("another became active meanwhile; ", verdict.reason);
  }
  RETURN_IF_ERROR(store_.SaveRefitAttempt(attempt));
  const bool rollback = attempt.kind == Kind::kRollback;
  LogInfo("refit", {{"model", attempt.model},
                    {"version", attempt.model_version},
                    {"kind", rollback ? "rollback" : "refit"},
                    {"attempt", attempt.attempt},
                    {"incumbent", attempt.incumbent},
                    {"candidate", attempt.candidate},
                    {"activated", attempt.outcome == Outcome::kActivated ? "true" : "false"},
                    {"reason", attempt.reason}});
  const auto count = [&](int64_t RefitCounters::*of, const char* name) {
    counts_.Count({look.target.model, look.target.model_version}, of, name);
  };
  if (attempt.outcome == Outcome::kKept) count(&RefitCounters::kept, "kept");
  if (attempt.outcome == Outcome::kSuperseded) count(&RefitCounters::superseded, "superseded");
  if (attempt.outcome == Outcome::kActivated && rollback) count(&RefitCounters::rolled_back, "rolled_back");
  if (attempt.outcome == Outcome::kActivated && !rollback) count(&RefitCounters::activated, "activated");
  return absl::OkStatus();
}

void Controller::Wait(const RefitLook& look, int64_t missing) {
  MutexLock lock(&shared_->mu);
  shared_->counted[{look.target.model, look.target.model_version}] = {look.incumbent, look.step.attempt,
                                                                      look.log_end + missing};
}

absl::StatusOr<RefitStatus> Controller::Status(const CalibrationTarget& target) {
  const ModelVersion of{target.model, target.model_version};
  RefitStatus status;
  bool running = false;
  std::string failure;
  {
    MutexLock lock(&shared_->mu);
    running = shared_->running && shared_->of == of;
    const auto failed = shared_->failures.find(of);
    if (failed != shared_->failures.end()) failure = failed->second;
  }
  // Before what is active: an attempt that has ended here has taken effect there.
  ASSIGN_OR_RETURN(status.attempts, store_.ListRefitAttempts(target.model, target.model_version, std::nullopt,
                                                             kListedAttempts));
  ASSIGN_OR_RETURN(RefitLook look, LookAt(target));
  if (running) look.step.state = RefitState::kRunning;
  status.policy = look.policy;
  status.active = look.incumbent;
  status.kind = look.step.kind;
  status.next_attempt = look.step.attempt;
  status.next_level = AttemptLevel(look.policy.alpha, look.step.attempt);
  status.state = look.step.state;
  if (status.state == RefitState::kGathering) status.labels_needed = LabelsMissing(look);
  if (look.step.not_before != absl::InfiniteFuture()) status.not_before = look.step.not_before;
  status.reason = Explain(look, status.labels_needed, failure);
  return status;
}

}  // namespace

std::unique_ptr<RefitController> RefitController::Create(const Options& options,
                                                         const RefitSettings& settings,
                                                         CalibratorRegistry& registry,
                                                         CalibrationMonitor& monitor, Store& store,
                                                         const Clock& clock, Hooks hooks) {
  return std::make_unique<Controller>(options, settings, registry, monitor, store, clock, std::move(hooks));
}

}  // namespace calserve
