#include "server/model/model_repository.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/model/loading_thread.h"
#include "server/model/model_versions.h"

namespace calserve {
namespace {

using std::chrono::steady_clock;

// How often retired versions are asked whether their last request is answered.
constexpr absl::Duration kIdleCheck = absl::Milliseconds(20);
// How long the next load of a model waits for that: a device may have room for one version more, not for two.
constexpr absl::Duration kLetGo = absl::Seconds(1);

constexpr size_t kMaxCalls = 64;  // to load or unload, waiting
constexpr int kMaxLooks = 3;      // of a load by call at files that change

absl::Status UnknownModel(const std::string& name, const Listing& listing) {
  const std::string known =
      absl::StrJoin(listing, ", ", [](std::string* out, const auto& listed) { out->append(listed.first); });
  return absl::NotFoundError(
      absl::StrCat("unknown model '", name, "'; the repository has: ", known.empty() ? "no model" : known));
}

// A model that is gone by now is no other one to load.
bool Changed(const Listing& before, const Listing& now, const std::string& model) {
  if (now.count(model) == 0) return false;
  const Listing settled = Settle(before, now);
  const ListedModel& listed = settled.at(model);
  return !listed.settled ||
         absl::c_any_of(listed.versions, [](const auto& version) { return !version.second.settled; });
}

absl::Status ShuttingDown() { return absl::UnavailableError("the server is shutting down"); }

class Repository final : public ModelRepository {
 public:
  Repository(const RepositoryOptions& options, RepositoryHooks hooks, Done started)
      : options_(options),
        hooks_(std::move(hooks)),
        started_(std::move(started)),
        thread_([this] { Run(); }) {}
  ~Repository() override { (void)Stop(absl::InfiniteDuration()); }

  bool takes_calls() const override { return options_.control == "explicit"; }
  std::vector<ModelStatus> List() const override;
  void Load(const std::string& model, Done done) override {
    Enqueue({model, /*load=*/true, std::move(done)});
  }
  void Unload(const std::string& model, Done done) override {
    Enqueue({model, /*load=*/false, std::move(done)});
  }
  void StopLoading() override;
  bool Stop(absl::Duration timeout) override;

 private:
  struct Call {
    std::string model;
    bool load = true;
    Done done;
  };
  enum class Step { kGoOn, kStop };

  void Enqueue(Call call) ABSL_LOCKS_EXCLUDED(mu_);

  // On the repository's thread.
  void Run();
  void Serve();
  absl::Status LoadAtStart();
  // Loads until the plan of the model is fulfilled. `until_failure`: or a version cannot be loaded.
  void LoadAll(const std::string& name, bool until_failure);
  // One load; false if there is none to do, or the repository stops.
  bool LoadNext(const std::string& name);
  // The same for the models in turn.
  bool LoadNextOfAny();
  // Destroys what the model has retired, once its last requests are answered or kLetGo has passed. False once
  // the repository stops.
  bool LetGo(ModelVersions& model) ABSL_LOCKS_EXCLUDED(mu_);
  Step WaitForStep(bool more_to_do, std::optional<Call>* call) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Handle(const Call& call);
  // The call in hand, unless StopLoading has answered it.
  void Answer(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);
  void LookIfDue();
  void Look();
  ModelVersions& Of(const std::string& name);
  void DestroyIdle();
  void Tell() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const RepositoryOptions options_;
  const RepositoryHooks hooks_;

  std::stop_source stop_;  // Of loads; requested before stopping_ is set.

  // Of the repository's thread, and of Stop once that has ended.
  std::map<std::string, ModelVersions> models_;
  Listing seen_;  // by the look before
  std::string look_problem_;
  steady_clock::time_point next_look_;
  bool serving_ = false;     // After the start, loading yields to what serves.
  std::string last_loaded_;  // The model whose turn was the last.
  Done started_;

  mutable Mutex mu_;
  CondVar changed_;  // A call, stopping_ or ended_.
  std::deque<Call> calls_ ABSL_GUARDED_BY(mu_);
  Done in_hand_ ABSL_GUARDED_BY(mu_);  // Of the call that is being handled; null once it is answered.
  std::vector<ModelStatus> statuses_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;  // The thread does nothing more.

  std::thread thread_;  // Last: uses the members above.
};

std::vector<ModelStatus> Repository::List() const {
  MutexLock lock(&mu_);
  return statuses_;
}

void Repository::Enqueue(Call call) {
  absl::Status refused;
  if (!takes_calls()) {
    refused = WithReason(
        absl::FailedPreconditionError(absl::StrCat("models are loaded and unloaded by call only where the "
                                                   "server is started with --repository-control "
                                                   "explicit; it is ",
                                                   options_.control)),
        "REPOSITORY_CONTROL");
  } else {
    MutexLock lock(&mu_);
    if (!stopping_ && calls_.size() < kMaxCalls) {
      calls_.push_back(std::move(call));
      changed_.SignalAll();
      return;
    }
    refused = stopping_ ? ShuttingDown()
                        : absl::ResourceExhaustedError(absl::StrCat(
                              kMaxCalls, " calls to load or unload are waiting already; retry with backoff"));
  }
  std::move(call.done)(std::move(refused));
}

void Repository::StopLoading() {
  stop_.request_stop();
  std::deque<Call> calls;
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
    calls.swap(calls_);
  }
  Answer(ShuttingDown());
  for (Call& call : calls) std::move(call.done)(ShuttingDown());
}

bool Repository::Stop(absl::Duration timeout) {
  StopLoading();
  {
    const absl::Time deadline = absl::Now() + timeout;
    MutexLock lock(&mu_);
    while (!ended_) {
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration()) return false;
      changed_.WaitFor(&mu_, left);
    }
  }
  if (thread_.joinable()) thread_.join();
  for (auto& [name, model] : models_) model.Stop();
  return true;
}

void Repository::Answer(absl::Status status) {
  Done done;
  {
    MutexLock lock(&mu_);
    done = std::exchange(in_hand_, nullptr);
  }
  if (done != nullptr) std::move(done)(std::move(status));
}

void Repository::Run() {
  absl::Status started = LoadAtStart();
  serving_ = true;
  next_look_ = steady_clock::now() + absl::ToChronoNanoseconds(options_.poll_interval);
  std::move(started_)(std::move(started));
  Serve();
  MutexLock lock(&mu_);
  ended_ = true;
  changed_.SignalAll();
}

void Repository::Serve() {
  bool more_to_do = false;
  std::optional<Call> call;
  while (WaitForStep(more_to_do, &call) == Step::kGoOn) {
    if (call.has_value()) {
      absl::Status done = Handle(*call);
      Tell();
      Answer(std::move(done));
      call.reset();
    }
    if (options_.control == "poll") LookIfDue();
    more_to_do = LoadNextOfAny();
    DestroyIdle();
    Tell();
  }
}

absl::Status Repository::LoadAtStart() {
  ASSIGN_OR_RETURN(seen_, hooks_.list());
  for (const auto& [name, listed] : seen_) Of(name).Show(listed);
  std::vector<std::string> names = options_.load;
  if (options_.control != "explicit") {
    for (const auto& [name, listed] : seen_) names.push_back(name);
  }
  const bool strict = options_.control != "poll";
  for (const std::string& name : names) {
    if (seen_.count(name) == 0) {
      return absl::NotFoundError(absl::StrCat("repository.load names '", name, "', which has no directory"));
    }
    Of(name).Activate(/*retry=*/false);
    LoadAll(name, strict);
    if (absl::Status complete = Of(name).Complete(); strict && !complete.ok()) return complete;
  }
  Tell();
  return absl::OkStatus();
}

ModelVersions& Repository::Of(const std::string& name) {
  // While it fails as it is, a version is tried again within so long at most, or at each look.
  constexpr absl::Duration kLongest = absl::Minutes(5);
  const auto looks = static_cast<int>(std::max<int64_t>(kLongest / options_.poll_interval, 1));
  return models_.try_emplace(name, name, hooks_, looks).first->second;
}

bool Repository::LoadNext(const std::string& name) {
  {
    MutexLock lock(&mu_);
    if (stopping_) return false;
  }
  ModelVersions& model = Of(name);
  const std::optional<int64_t> version = model.Advance();
  if (!version.has_value()) return false;
  if (!LetGo(model)) return false;
  const VersionLoader load = model.Begin(*version);
  Tell();
  const auto still_loading = [&](absl::Duration so_far) { hooks_.still_loading(name, *version, so_far); };
  absl::StatusOr<std::unique_ptr<LoadedVersion>> loaded =
      LoadOnThreadThatEnds(load, *version, {{serving_, stop_.get_token()}, still_loading});
  if (!loaded.ok() && stop_.stop_requested()) {
    model.GiveUp();
    return false;
  }
  model.Finish(*version, std::move(loaded));
  // Labels and traffic follow before anything else takes time.
  model.Advance();
  return true;
}

bool Repository::LetGo(ModelVersions& model) {
  Tell();  // Who retires is said before it is gone.
  const absl::Time end = absl::Now() + kLetGo;
  while (true) {
    model.DestroyIdle();
    MutexLock lock(&mu_);
    if (stopping_) return false;
    if (!model.holds_retired() || absl::Now() >= end) return true;
    changed_.WaitFor(&mu_, kIdleCheck);
  }
}

bool Repository::LoadNextOfAny() {
  std::vector<std::string> names;
  for (const auto& [name, model] : models_) names.push_back(name);
  std::rotate(names.begin(), std::upper_bound(names.begin(), names.end(), last_loaded_), names.end());
  const auto loaded = absl::c_find_if(names, [this](const std::string& name) { return LoadNext(name); });
  if (loaded == names.end()) return false;
  last_loaded_ = *loaded;
  return true;
}

void Repository::LoadAll(const std::string& name, bool until_failure) {
  while (LoadNext(name)) {
    if (until_failure && Of(name).last_load_failed()) return;
  }
}

Repository::Step Repository::WaitForStep(bool more_to_do, std::optional<Call>* call) {
  const bool sweeping =
      absl::c_any_of(models_, [](const auto& model) { return model.second.holds_retired(); });
  absl::Duration wait = sweeping ? kIdleCheck : absl::InfiniteDuration();
  if (options_.control == "poll") wait = std::min(wait, absl::FromChrono(next_look_ - steady_clock::now()));
  if (more_to_do) wait = absl::ZeroDuration();
  MutexLock lock(&mu_);
  while (!stopping_ && calls_.empty() && wait > absl::ZeroDuration()) {
    if (changed_.WaitFor(&mu_, wait)) break;
  }
  if (stopping_) return Step::kStop;
  if (!calls_.empty()) {
    *call = std::move(calls_.front());
    in_hand_ = std::move((*call)->done);
    calls_.pop_front();
  }
  return Step::kGoOn;
}

absl::Status Repository::Handle(const Call& call) {
  if (!call.load) {
    const auto model = models_.find(call.model);
    if (model == models_.end()) return absl::NotFoundError(absl::StrCat("unknown model '", call.model, "'"));
    model->second.Deactivate();
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(seen_, hooks_.list());
  for (int looks = 1;; ++looks) {
    for (const auto& [name, listed] : seen_) {
      if (name == call.model || !Of(name).active()) Of(name).Show(listed);
    }
    if (seen_.count(call.model) == 0) return UnknownModel(call.model, seen_);
    Of(call.model).Activate(/*retry=*/looks == 1);
    LoadAll(call.model, /*until_failure=*/false);
    // What changed meanwhile is looked at again: nobody else will.
    absl::StatusOr<Listing> now = hooks_.list();
    if (!now.ok() || looks == kMaxLooks || !Changed(seen_, *now, call.model))
      return Of(call.model).Complete();
    seen_ = *std::move(now);
  }
}

void Repository::LookIfDue() {
  if (steady_clock::now() < next_look_) return;
  Look();
  next_look_ = steady_clock::now() + absl::ToChronoNanoseconds(options_.poll_interval);
}

void Repository::Look() {
  absl::StatusOr<Listing> now = hooks_.list();
  if (now.status().message() != look_problem_) {
    look_problem_ = std::string(now.status().message());
    if (!now.ok()) hooks_.look_failed(now.status());
  }
  if (!now.ok()) return;
  for (auto& [name, listed] : Settle(seen_, *now)) {
    if (!listed.settled) continue;
    Of(name).Show(listed);
    Of(name).Activate(/*retry=*/false);
  }
  for (auto& [name, model] : models_) {
    // Gone for two looks.
    if (now->count(name) == 0 && seen_.count(name) == 0) model.Deactivate();
  }
  seen_ = *std::move(now);
}

void Repository::DestroyIdle() {
  Tell();  // Who retires is said before it is gone.
  for (auto& [name, model] : models_) model.DestroyIdle();
  std::erase_if(models_, [this](const auto& entry) {
    const auto& [name, model] = entry;
    return seen_.count(name) == 0 && !model.active() && !model.holds_retired();
  });
}

void Repository::Tell() {
  std::vector<ModelStatus> statuses;
  statuses.reserve(models_.size());
  for (const auto& [name, model] : models_) statuses.push_back(model.Status());
  {
    MutexLock lock(&mu_);
    statuses_ = std::move(statuses);
  }
  // After that: who reads of a state in the log finds it in List.
  for (auto& [name, model] : models_) model.Tell();
}

}  // namespace

absl::string_view StateName(VersionState state) {
  switch (state) {
    case VersionState::kUnavailable:
      return "UNAVAILABLE";
    case VersionState::kLoading:
      return "LOADING";
    case VersionState::kReady:
      return "READY";
    case VersionState::kUnloading:
      return "UNLOADING";
  }
  return "";
}

std::string StateText(const VersionStatus& status) {
  const bool failed = status.state == VersionState::kUnavailable && status.failed;
  return std::string(failed ? "FAILED" : StateName(status.state));
}

std::unique_ptr<ModelRepository> ModelRepository::Start(const RepositoryOptions& options,
                                                        RepositoryHooks hooks, Done started) {
  return std::make_unique<Repository>(options, std::move(hooks), std::move(started));
}

}  // namespace calserve
