#ifndef CALSERVE_TESTS_UNIT_MODEL_FAKE_VERSIONS_H_
#define CALSERVE_TESTS_UNIT_MODEL_FAKE_VERSIONS_H_

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/mutex.h"
#include "server/model/model_repository.h"

namespace calserve {

// A directory of models and what serves of it, without files or models. Thread-safe.
class FakeVersions {
 public:
  RepositoryHooks Hooks() {
    RepositoryHooks hooks;
    hooks.list = [this] { return List(); };
    hooks.route = [this](const std::string& model, const VersionRouting& routing) { Route(model, routing); };
    hooks.told = [this](const std::string& model, const VersionStatus& status) {
      MutexLock lock(&mu_);
      log_.push_back(absl::StrCat(model, " ", status.version, " ", StateName(status.state)));
    };
    hooks.still_loading = [](const std::string&, int64_t, absl::Duration) {};
    hooks.look_failed = [this](const absl::Status& problem) {
      MutexLock lock(&mu_);
      log_.push_back(absl::StrCat("look failed: ", problem.message()));
    };
    return hooks;
  }

  // --- the directory ---
  void Write(const std::string& model, int64_t version, const std::string& files = "a") {
    MutexLock lock(&mu_);
    directory_[model].versions[version].fingerprint = files;
  }
  void Remove(const std::string& model, int64_t version) {
    MutexLock lock(&mu_);
    directory_[model].versions.erase(version);
  }
  void RemoveModel(const std::string& model) {
    MutexLock lock(&mu_);
    directory_.erase(model);
  }
  void Change(const std::string& model, const std::function<void(ListedModel&)>& change) {
    MutexLock lock(&mu_);
    change(directory_[model]);
  }
  // "": it can be read again.
  void BreakDirectory(const std::string& problem) {
    MutexLock lock(&mu_);
    directory_problem_ = problem;
  }
  // Loading what has these files fails.
  void Spoil(const std::string& files, const std::string& reason) {
    MutexLock lock(&mu_);
    spoiled_[files] = reason;
  }
  // The same, for a reason that passes; each attempt takes longer than the time between two looks.
  void SpoilForNow(const std::string& files, const std::string& reason) {
    MutexLock lock(&mu_);
    busy_with_[files] = reason;
  }
  // What is loaded cannot be published, for want of threads.
  void TakeThreads(bool take) {
    MutexLock lock(&mu_);
    no_threads_ = take;
  }
  // Loads wait from now on until let go.
  void HoldLoads(bool hold) {
    MutexLock lock(&mu_);
    held_ = hold;
    changed_.SignalAll();
  }
  // Loads take until they are asked to stop.
  void HoldLoadsUntilStopped() {
    MutexLock lock(&mu_);
    until_stopped_ = true;
  }
  // Requests have this version from now on, or no longer.
  void SetBusy(int64_t version, bool busy) {
    MutexLock lock(&mu_);
    if (busy) {
      busy_.insert(version);
    } else {
      busy_.erase(version);
    }
  }

  // --- what serves ---
  // "3a 4b": version and files, of what is published.
  std::string Serving(const std::string& model) const {
    MutexLock lock(&mu_);
    std::string text;
    const auto found = published_.find(model);
    if (found == published_.end()) return text;
    for (const auto& [version, files] : found->second)
      absl::StrAppend(&text, text.empty() ? "" : " ", version, files);
    return text;
  }
  std::map<std::string, int64_t> Labels(const std::string& model) const {
    MutexLock lock(&mu_);
    const auto found = routing_.find(model);
    return found == routing_.end() ? std::map<std::string, int64_t>() : found->second.labels;
  }
  std::vector<std::string> log() const {
    MutexLock lock(&mu_);
    return log_;
  }
  std::vector<int> load_priorities() const {
    MutexLock lock(&mu_);
    return priorities_;
  }
  int alive() const {
    MutexLock lock(&mu_);
    return alive_;
  }
  // At one time.
  int most_alive() const {
    MutexLock lock(&mu_);
    return most_alive_;
  }
  int stopped() const {
    MutexLock lock(&mu_);
    return stopped_;
  }
  // Labels pointed to what was not published, or nothing served while something had to. "" if never.
  std::string fault() const {
    MutexLock lock(&mu_);
    return fault_;
  }

 private:
  class Version final : public LoadedVersion {
   public:
    Version(FakeVersions& fake, std::string model, int64_t version, std::string files)
        : fake_(fake), model_(std::move(model)), version_(version), files_(std::move(files)) {
      MutexLock lock(&fake_.mu_);
      fake_.most_alive_ = std::max(fake_.most_alive_, ++fake_.alive_);
    }
    ~Version() override {
      MutexLock lock(&fake_.mu_);
      --fake_.alive_;
    }
    absl::Status Publish() override {
      MutexLock lock(&fake_.mu_);
      if (fake_.no_threads_) return absl::ResourceExhaustedError("no threads");
      fake_.published_[model_][version_] = files_;
      return absl::OkStatus();
    }
    void Withdraw() override {
      MutexLock lock(&fake_.mu_);
      fake_.published_[model_].erase(version_);
      for (const auto& [label, target] : fake_.routing_[model_].labels) {
        if (target == version_ && !fake_.published_[model_].empty()) {
          fake_.fault_ = absl::StrCat("label ", label, " was left on version ", version_);
        }
      }
    }
    bool idle() const override {
      MutexLock lock(&fake_.mu_);
      return fake_.busy_.count(version_) == 0;
    }
    void Stop() override {
      MutexLock lock(&fake_.mu_);
      ++fake_.stopped_;
    }

   private:
    FakeVersions& fake_;
    const std::string model_;
    const int64_t version_;
    const std::string files_;
  };

  absl::StatusOr<Listing> List() {
    MutexLock lock(&mu_);
    if (!directory_problem_.empty()) return absl::NotFoundError(directory_problem_);
    Listing listing = directory_;
    for (auto& [name, model] : listing) {
      // As the files are now, whatever they are when it is loaded.
      const ListedModel listed = model;
      model.load = [this, name = name, listed](int64_t version, const LoadMoment& moment) {
        return Load(name, version, listed.versions.at(version).fingerprint, moment);
      };
    }
    return listing;
  }
  absl::StatusOr<std::unique_ptr<LoadedVersion>> Load(const std::string& model, int64_t version,
                                                      const std::string& files, const LoadMoment& moment) {
    {
      MutexLock lock(&mu_);
      priorities_.push_back(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())));
      while (held_) changed_.Wait(&mu_);
      while (until_stopped_) {
        if (moment.stop.stop_requested()) return absl::UnavailableError("given up");
        changed_.WaitFor(&mu_, absl::Milliseconds(1));
      }
      if (const auto reason = spoiled_.find(files); reason != spoiled_.end()) {
        return absl::InvalidArgumentError(reason->second);
      }
      if (const auto reason = busy_with_.find(files); reason != busy_with_.end()) {
        changed_.WaitFor(&mu_, absl::Milliseconds(20));
        return absl::UnavailableError(reason->second);
      }
    }
    return std::make_unique<Version>(*this, model, version, files);
  }
  void Route(const std::string& model, const VersionRouting& routing) {
    MutexLock lock(&mu_);
    for (const auto& [label, target] : routing.labels) {
      if (published_[model].count(target) == 0)
        fault_ = absl::StrCat("label ", label, " on version ", target, ", which does not serve");
    }
    routing_[model] = routing;
  }

  mutable Mutex mu_;
  CondVar changed_;
  Listing directory_ ABSL_GUARDED_BY(mu_);
  std::string directory_problem_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::string> spoiled_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::string> busy_with_ ABSL_GUARDED_BY(mu_);
  bool held_ ABSL_GUARDED_BY(mu_) = false, until_stopped_ ABSL_GUARDED_BY(mu_) = false;
  bool no_threads_ ABSL_GUARDED_BY(mu_) = false;
  std::set<int64_t> busy_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::map<int64_t, std::string>> published_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, VersionRouting> routing_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> log_ ABSL_GUARDED_BY(mu_);
  std::vector<int> priorities_ ABSL_GUARDED_BY(mu_);
  int alive_ ABSL_GUARDED_BY(mu_) = 0, most_alive_ ABSL_GUARDED_BY(mu_) = 0;
  int stopped_ ABSL_GUARDED_BY(mu_) = 0;
  std::string fault_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_MODEL_FAKE_VERSIONS_H_
