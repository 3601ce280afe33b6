#include "server/recalibration/calibrator_versions.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "calibration_io/calibrator_json.h"
#include "server/base/status_macros.h"
#include "server/logging/log.h"
#include "server/recalibration/content_digest.h"

namespace calserve {
namespace {

// Calibrators remembered by Find; more than the versions that serve at once.
constexpr size_t kMaxRemembered = 1024;

CalibratorVersion Softmax(const std::string& model, int64_t model_version, int classes) {
  CalibratorVersion softmax;
  softmax.model = model;
  softmax.model_version = model_version;
  softmax.state = CalibratorState::kActive;
  softmax.spec = Calibrator::None(std::max(classes, 2)).spec();
  return softmax;
}

absl::StatusOr<CalibratorVersion> Decode(const StoredCalibrator& stored) {
  absl::StatusOr<CalibratorDocument> document = CalibratorFromJson(stored.content);
  if (!document.ok()) {
    return absl::DataLossError(absl::StrCat("the stored calibrator version ", stored.version, " of model ",
                                            stored.model, " cannot be read: ", document.status().message()));
  }
  CalibratorVersion version;
  version.model = stored.model;
  version.model_version = stored.model_version;
  version.version = stored.version;
  version.digest = stored.digest;
  version.origin = stored.origin;
  version.state = stored.state;
  version.created = stored.created;
  version.activated = stored.activated;
  version.spec = std::move(document->spec);
  version.report = std::move(document->report);
  version.fit_position = stored.fit_position;
  version.note = stored.note;
  return version;
}

// The checkpoint that keeps a model version's digest.
std::string ContentName(const CalibrationTarget& target) {
  return absl::StrCat("model/", target.model, "/", target.model_version);
}

std::string ContentBeforeName(const CalibrationTarget& target) {
  return absl::StrCat(ContentName(target), "/before");
}

absl::Status CheckClasses(const CalibrationTarget& target, const CalibratorSpec& spec) {
  if (spec.classes == target.classes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("calibrator.json is for ", spec.classes, " classes; model ",
                                                 target.model, " version ", target.model_version, " has ",
                                                 target.classes));
}

// How long the methods took that auto compared is no content: the same rows give the same calibrator.
CalibratorDocument WithoutTimes(CalibratorDocument document) {
  if (!document.report.has_value()) return document;
  for (MethodComparison& row : document.report->comparison) row.seconds = 0;
  return document;
}

}  // namespace

absl::StatusOr<CalibratorVersion> CalibratorVersions::Add(const CalibrationTarget& target,
                                                          const CalibratorDocument& document,
                                                          const std::string& origin, int64_t fit_position) {
  const std::string content = CalibratorToJson(document);
  // What could not be read back must not be stored.
  RETURN_IF_ERROR(CalibratorFromJson(content).status());
  StoredCalibrator stored;
  stored.model = target.model;
  stored.model_version = target.model_version;
  stored.digest = ContentDigest(CalibratorToJson(WithoutTimes(document)));
  stored.content = content;
  stored.origin = origin;
  stored.created = Now();
  stored.fit_position = fit_position;
  ASSIGN_OR_RETURN(const StoredCalibrator added, store_.AddCalibrator(std::move(stored)));
  return Decode(added);
}

absl::StatusOr<CalibratorVersion> CalibratorVersions::AddFitted(const CalibrationTarget& target,
                                                                FitResult fit, int64_t fit_position) {
  ASSIGN_OR_RETURN(const bool replaced, ContentChanged(target));
  if (replaced) {
    return absl::FailedPreconditionError(
        absl::StrCat("the weights or class names of model ", target.model, " version ", target.model_version,
                     " were replaced while the calibrator was fitted; fit again"));
  }
  ASSIGN_OR_RETURN(CalibratorVersion added,
                   Add(target, {std::move(fit.spec), std::move(fit.report)}, "fit", fit_position));
  NoteShadow(added);
  return added;
}

absl::StatusOr<CalibratorVersion> CalibratorVersions::AddModelVersion(const CalibrationTarget& target,
                                                                      const std::string& json,
                                                                      const OnActivate& install) {
  MutexLock activating(&activation_mu_);
  std::optional<int64_t> shipped;
  if (!json.empty()) {
    ASSIGN_OR_RETURN(const CalibratorDocument document, CalibratorFromJson(json));
    RETURN_IF_ERROR(CheckClasses(target, document.spec));
    // Written anew, so that layout does not make another version of it.
    // Whatever it was fitted to, it was there before any label that is still to come.
    ASSIGN_OR_RETURN(const LogHead head, store_.Head());
    ASSIGN_OR_RETURN(const CalibratorVersion added, Add(target, document, "shipped", head.next_position - 1));
    shipped = added.version;
  }
  ASSIGN_OR_RETURN(const std::vector<StoredCalibrator> versions, store_.ListCalibrators(target.model));
  CalibratorVersion active = Softmax(target.model, target.model_version, target.classes);
  bool had_one = false;
  for (const StoredCalibrator& version : versions) {
    if (version.model_version != target.model_version) continue;
    had_one = had_one || version.activated.has_value();
    if (version.state != CalibratorState::kActive) continue;
    ASSIGN_OR_RETURN(active, Decode(version));
  }
  ASSIGN_OR_RETURN(const bool changed, ContentChanged(target));
  // What a calibrator was fitted for is gone: plain softmax is honest, and a shipped one comes with the
  // model. Weights that come back, as after a copy that was mended, have what they had.
  if (changed || (shipped.has_value() && !had_one)) {
    std::optional<int64_t> before;
    if (changed) {
      ASSIGN_OR_RETURN(before, ActiveBefore(target));
    }
    const int64_t next = before.value_or(shipped.value_or(0));
    if (changed && active.version != next) {
      LogWarning(before.has_value()
                     ? "the weights and class names of before: their calibrator is active again"
                     : "other weights or class names than before: calibrator retired",
                 {{"model", target.model},
                  {"version", target.model_version},
                  {"calibrator", active.version},
                  {"active", next}});
      RETURN_IF_ERROR(RememberActive(target, active.version, next));
    }
    RETURN_IF_ERROR(
        store_.ActivateCalibrator(target.model, target.model_version, next, active.version, Now()));
    active = Softmax(target.model, target.model_version, target.classes);
    if (next != 0) {
      ASSIGN_OR_RETURN(active, Get(target.model, target.model_version, next));
    }
  }
  RETURN_IF_ERROR(RememberContent(target));
  if (active.spec.classes != target.classes) {
    return absl::FailedPreconditionError(
        absl::StrCat("the active calibrator ", active.version, " of model ", target.model, " version ",
                     target.model_version, " is for ", active.spec.classes, " classes; the model has ",
                     target.classes, ": a model with other classes is another version"));
  }
  SetActive(active);
  for (const StoredCalibrator& stored : versions) {
    // Those of other weights say nothing of these.
    if (changed || stored.model_version != target.model_version) continue;
    if (stored.state != CalibratorState::kFitted || stored.version == active.version) continue;
    const absl::StatusOr<CalibratorVersion> fitted = Decode(stored);
    if (fitted.ok()) NoteShadow(*fitted);
  }
  if (install != nullptr) install(active);
  return active;
}

absl::StatusOr<bool> CalibratorVersions::ContentChanged(const CalibrationTarget& target) {
  if (target.digest.empty()) return false;
  ASSIGN_OR_RETURN(const std::optional<Checkpoint> before, store_.LoadCheckpoint(ContentName(target)));
  return before.has_value() && before->state != target.digest;
}

absl::Status CalibratorVersions::RememberContent(const CalibrationTarget& target) {
  if (target.digest.empty()) return absl::OkStatus();
  return store_.SaveCheckpoint(ContentName(target), {.schema_version = 1, .state = target.digest}, {});
}

absl::StatusOr<std::optional<int64_t>> CalibratorVersions::ActiveBefore(const CalibrationTarget& target) {
  ASSIGN_OR_RETURN(const std::optional<Checkpoint> before, store_.LoadCheckpoint(ContentBeforeName(target)));
  if (!before.has_value()) return std::nullopt;
  for (const absl::string_view line : absl::StrSplit(before->state, '\n')) {
    const std::pair<absl::string_view, absl::string_view> digest_and_version =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    int64_t version = 0;
    if (digest_and_version.first == target.digest && absl::SimpleAtoi(digest_and_version.second, &version)) {
      return version;
    }
  }
  return std::nullopt;
}

absl::Status CalibratorVersions::RememberActive(const CalibrationTarget& target, int64_t active,
                                                int64_t next) {
  ASSIGN_OR_RETURN(const std::optional<Checkpoint> content, store_.LoadCheckpoint(ContentName(target)));
  return store_.SaveCheckpoint(ContentBeforeName(target),
                               {.schema_version = 1,
                                .state = absl::StrCat(content.has_value() ? content->state : "", " ", active,
                                                      "\n", target.digest, " ", next)},
                               {});
}

absl::StatusOr<std::vector<CalibratorVersion>> CalibratorVersions::List(const std::string& model) {
  ASSIGN_OR_RETURN(const std::vector<StoredCalibrator> stored, store_.ListCalibrators(model));
  std::vector<CalibratorVersion> versions;
  for (const StoredCalibrator& calibrator : stored) {
    ASSIGN_OR_RETURN(CalibratorVersion version, Decode(calibrator));
    versions.push_back(std::move(version));
  }
  return versions;
}

CalibratorVersion CalibratorVersions::Active(const std::string& model, int64_t model_version) {
  MutexLock lock(&mu_);
  const auto it = active_.find({model, model_version});
  return it == active_.end() ? Softmax(model, model_version, 0) : it->second;
}

absl::StatusOr<CalibratorVersion> CalibratorVersions::Get(const std::string& model, int64_t model_version,
                                                          int64_t version) {
  ASSIGN_OR_RETURN(const std::vector<StoredCalibrator> stored, store_.ListCalibrators(model));
  std::vector<int64_t> known = {0};
  for (const StoredCalibrator& calibrator : stored) {
    if (calibrator.model_version != model_version) continue;
    if (calibrator.version == version) return Decode(calibrator);
    known.push_back(calibrator.version);
  }
  return absl::NotFoundError(absl::StrCat("model ", model, " version ", model_version,
                                          " has no calibrator version ", version, "; it has ",
                                          absl::StrJoin(known, ", ")));
}

absl::StatusOr<CalibratorVersion> CalibratorVersions::Activate(const std::string& model,
                                                               int64_t model_version, int64_t version,
                                                               int64_t expected_active) {
  MutexLock activating(&activation_mu_);
  return ActivateLocked(model, model_version, version, expected_active);
}

absl::StatusOr<CalibratorVersion> CalibratorVersions::Rollback(const std::string& model,
                                                               int64_t model_version,
                                                               int64_t expected_active) {
  MutexLock activating(&activation_mu_);
  ASSIGN_OR_RETURN(const int64_t previous, store_.PreviousActive(model, model_version));
  return ActivateLocked(model, model_version, previous, expected_active);
}

absl::StatusOr<CalibratorVersion> CalibratorVersions::ActivateLocked(const std::string& model,
                                                                     int64_t model_version, int64_t version,
                                                                     int64_t expected_active) {
  // All that can fail comes before the store changes what is active.
  CalibratorVersion next = Softmax(model, model_version, Active(model, model_version).spec.classes);
  if (version != 0) {
    ASSIGN_OR_RETURN(next, Get(model, model_version, version));
  }
  const absl::Time now = Now();
  RETURN_IF_ERROR(store_.ActivateCalibrator(model, model_version, version, expected_active, now));
  if (Active(model, model_version).version == version) return next;  // It was active already.
  next.state = CalibratorState::kActive;
  if (version != 0) next.activated = now;
  SetActive(next);
  NoteShadow(next);
  on_activate_(next);
  return next;
}

void CalibratorVersions::SetActive(const CalibratorVersion& version) {
  MutexLock lock(&mu_);
  active_.insert_or_assign({version.model, version.model_version}, version);
}

void CalibratorVersions::NoteShadow(const CalibratorVersion& version) {
  const absl::StatusOr<Calibrator> calibrator = Calibrator::Create(version.spec);
  MutexLock lock(&mu_);
  std::map<int64_t, ShadowCalibrator>& fitted = shadows_[{version.model, version.model_version}];
  if (version.state == CalibratorState::kFitted && calibrator.ok()) {
    fitted[version.version] = {{version.model, version.model_version, version.version},
                               version.fit_position,
                               std::make_shared<const Calibrator>(*calibrator)};
  } else if (fitted.erase(version.version) == 0) {
    return;
  }
  while (static_cast<int>(fitted.size()) > max_shadows_) fitted.erase(fitted.begin());
  auto list = std::make_shared<ShadowList>();
  for (const auto& [model_version, shadows] : shadows_) {
    for (const auto& [number, shadow] : shadows) list->push_back(shadow);
  }
  shadow_list_ = std::move(list);
}

absl::StatusOr<std::shared_ptr<const Calibrator>> CalibratorVersions::Find(const std::string& model,
                                                                           int64_t model_version,
                                                                           int64_t version) {
  MonitorKey key{model, model_version, version};
  {
    MutexLock lock(&mu_);
    if (const auto it = calibrators_.find(key); it != calibrators_.end()) return it->second;
  }
  absl::StatusOr<CalibratorVersion> found = Get(model, model_version, version);
  if (absl::IsNotFound(found.status())) return std::shared_ptr<const Calibrator>();
  RETURN_IF_ERROR(found.status());
  ASSIGN_OR_RETURN(Calibrator calibrator, Calibrator::Create(std::move(found->spec)));
  MutexLock lock(&mu_);
  if (calibrators_.size() >= kMaxRemembered) calibrators_.clear();
  return calibrators_.emplace(std::move(key), std::make_shared<const Calibrator>(std::move(calibrator)))
      .first->second;
}

}  // namespace calserve
