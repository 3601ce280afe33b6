#include "server/rpc/kserve_repository.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace calserve::kserve {
namespace {

absl::Status CheckNoRepositoryName(const std::string& name) {
  if (name.empty()) return absl::OkStatus();
  return WithField(absl::UnimplementedError(absl::StrCat(
                       "'repository_name' is not supported, there is one repository; was '", name, "'")),
                   "repository_name");
}

absl::Status NotControlled() {
  return WithReason(absl::FailedPreconditionError("models are loaded and unloaded on request only where the "
                                                  "server is started with --repository-control explicit"),
                    "REPOSITORY_CONTROL");
}

// One line of the index.
struct Entry {
  std::string model;
  int64_t version = 0;  // 0: of a model of which no version is known
  absl::string_view state;
  std::string reason;
};

std::vector<Entry> Served(const ServingTable& table) {
  std::vector<Entry> entries;
  for (const Snapshot& snapshot : table.List()) {
    entries.push_back({snapshot.model->name, snapshot.model->version, StateName(VersionState::kReady), ""});
  }
  return entries;
}

std::vector<Entry> Known(const ModelRepository& repository) {
  std::vector<Entry> entries;
  for (const ModelStatus& model : repository.List()) {
    for (const VersionStatus& version : model.versions) {
      entries.push_back({model.name, version.version, StateName(version.state),
                         version.reason.empty() ? model.reason : version.reason});
    }
    if (model.versions.empty()) {
      entries.push_back({model.name, 0, StateName(VersionState::kUnavailable), model.reason});
    }
  }
  return entries;
}

absl::Status CheckLoad(const inference::RepositoryModelLoadRequest& request,
                       const ModelRepository* repository) {
  RETURN_IF_ERROR(CheckNoRepositoryName(request.repository_name()));
  if (repository == nullptr) return NotControlled();
  if (!request.parameters().empty()) {
    return WithField(
        absl::InvalidArgumentError(absl::StrCat("a model is loaded as it lies in the repository: parameter '",
                                                request.parameters().begin()->first, "' is not supported")),
        "parameters");
  }
  return absl::OkStatus();
}

absl::Status CheckUnload(const inference::RepositoryModelUnloadRequest& request,
                         const ModelRepository* repository) {
  RETURN_IF_ERROR(CheckNoRepositoryName(request.repository_name()));
  return repository == nullptr ? NotControlled() : absl::OkStatus();
}

}  // namespace

absl::Status ListRepository(const inference::RepositoryIndexRequest& request, const ServingTable& table,
                            const ModelRepository* repository, inference::RepositoryIndexResponse& response) {
  RETURN_IF_ERROR(CheckNoRepositoryName(request.repository_name()));
  std::vector<Entry> entries = repository == nullptr ? Served(table) : Known(*repository);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.model, a.version) < std::tie(b.model, b.version);
  });
  for (Entry& entry : entries) {
    if (request.ready() && entry.state != StateName(VersionState::kReady)) continue;
    inference::RepositoryIndexResponse::ModelIndex& model = *response.add_models();
    model.set_name(std::move(entry.model));
    if (entry.version > 0) model.set_version(absl::StrCat(entry.version));
    model.set_state(std::string(entry.state));
    model.set_reason(std::move(entry.reason));
  }
  return absl::OkStatus();
}

void LoadModel(const inference::RepositoryModelLoadRequest& request, ModelRepository* repository,
               ModelRepository::Done done) {
  absl::Status status = CheckLoad(request, repository);
  if (!status.ok()) return std::move(done)(std::move(status));
  repository->Load(request.model_name(), std::move(done));
}

void UnloadModel(const inference::RepositoryModelUnloadRequest& request, ModelRepository* repository,
                 ModelRepository::Done done) {
  // "unload_dependents" is let pass: no model depends on another.
  absl::Status status = CheckUnload(request, repository);
  if (!status.ok()) return std::move(done)(std::move(status));
  repository->Unload(request.model_name(), std::move(done));
}

}  // namespace calserve::kserve
