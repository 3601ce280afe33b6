#include "server/prediction/not_ready.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

constexpr absl::Duration kRetryAfter = absl::Seconds(1);  // of what is on its way

const ModelStatus* FindModel(const std::vector<ModelStatus>& models, const std::string& name) {
  const auto found = absl::c_find_if(models, [&](const ModelStatus& model) { return model.name == name; });
  return found == models.end() ? nullptr : &*found;
}

absl::Status NotReady(absl::string_view what, absl::string_view state,
                      absl::Duration retry_after = absl::InfiniteDuration()) {
  absl::Status status = absl::UnavailableError(absl::StrCat(what, " is not at ready state: ", state));
  return WithRetryAfter(WithField(WithReason(std::move(status), "MODEL_NOT_READY"), "model"), retry_after);
}

absl::Status OnItsWay(absl::string_view what, absl::string_view state) {
  return NotReady(what, absl::StrCat(state, "; retry with backoff"), kRetryAfter);
}

bool IsOnItsWay(const absl::Status& status) { return ErrorRetryAfter(status) == kRetryAfter; }

absl::Status Failed(absl::string_view what, absl::string_view reason) {
  return NotReady(what, absl::StrCat("FAILED: ", reason,
                                     "; mend it in the repository: it is loaded again when its files change "
                                     "(--repository-control poll) or by RepositoryModelLoad (explicit)"));
}

absl::Status NotLoaded(const std::string& name) {
  return WithField(WithReason(absl::NotFoundError(absl::StrCat(
                                  "unknown model '", name,
                                  "': it is in the repository but not loaded; RepositoryModelLoad loads it")),
                              "MODEL_NOT_FOUND"),
                   "model");
}

// Of a model that is loaded a version is wanted, if it has any.
bool IsNotLoaded(const ModelStatus& model) {
  return !model.versions.empty() && absl::c_none_of(model.versions, [](const VersionStatus& version) {
    return version.wanted || version.state == VersionState::kReady;
  });
}

// OK for one that somebody chose not to serve.
absl::Status WhyNotReady(const std::string& name, const VersionStatus& version) {
  const std::string what = absl::StrCat("model '", name, "' version ", version.version);
  switch (version.state) {
    case VersionState::kLoading:
      return OnItsWay(what, "LOADING");
    case VersionState::kReady:  // Published or withdrawn at this moment.
      return OnItsWay(what, "it changes at this moment");
    case VersionState::kUnloading:
      return NotReady(what, "UNLOADING: it answers only what it has begun; ask another version");
    case VersionState::kUnavailable:
      if (!version.wanted) return absl::OkStatus();
      return version.failed ? Failed(what, version.reason) : OnItsWay(what, version.reason);
  }
  return absl::OkStatus();
}

// Of the versions that are asked for; OK where there is none.
absl::Status WhyNotReady(const ModelStatus& model, const VersionChoice& choice) {
  int64_t asked = choice.version;
  if (!choice.label.empty()) {
    const auto label = model.labels.find(std::string(choice.label));
    if (label == model.labels.end()) return absl::OkStatus();
    asked = label->second;
  }
  absl::Status why;
  for (const VersionStatus& version : model.versions) {
    if (asked != 0 && version.version != asked) continue;
    // One that is ready was only given its label, or lost it, at this moment.
    if (!choice.label.empty() && version.state == VersionState::kReady) continue;
    absl::Status of_version = WhyNotReady(model.name, version);
    // Of all versions: the newest that is on its way, else the newest that is not ready.
    if (why.ok() || (!IsOnItsWay(why) && IsOnItsWay(of_version))) {
      why = std::move(of_version);
    }
  }
  return why;
}

}  // namespace

absl::Status WhyNotReady(const std::vector<ModelStatus>& models, const std::string& name,
                         const VersionChoice& choice, bool loaded_by_call) {
  const ModelStatus* const model = FindModel(models, name);
  if (model == nullptr) return absl::OkStatus();
  if (model->versions.empty() && !model->reason.empty()) {
    return Failed(absl::StrCat("model '", name, "'"), model->reason);
  }
  absl::Status why = WhyNotReady(*model, choice);
  return why.ok() && loaded_by_call && IsNotLoaded(*model) ? NotLoaded(name) : why;
}

bool IsKnown(const std::vector<ModelStatus>& models, const std::string& name, int64_t version) {
  const ModelStatus* const model = FindModel(models, name);
  if (model == nullptr) return false;
  return version == 0 || absl::c_any_of(model->versions, [version](const VersionStatus& status) {
           return status.version == version;
         });
}

}  // namespace calserve
