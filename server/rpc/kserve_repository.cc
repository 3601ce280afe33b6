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
                    "REPOSITORY_NOT_EXPLICIT");
}

std::vector<RepositoryControl::Version> Served(const ServingTable& table) {
  std::vector<RepositoryControl::Version> versions;
  for (const Snapshot& snapshot : table.List()) {
    versions.push_back({snapshot.model->name, snapshot.model->version, "READY", ""});
  }
  return versions;
}

absl::Status CheckLoad(const inference::RepositoryModelLoadRequest& request,
                       const RepositoryControl* repository) {
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
                         const RepositoryControl* repository) {
  RETURN_IF_ERROR(CheckNoRepositoryName(request.repository_name()));
  return repository == nullptr ? NotControlled() : absl::OkStatus();
}

}  // namespace

absl::Status ListRepository(const inference::RepositoryIndexRequest& request, const ServingTable& table,
                            const RepositoryControl* repository,
                            inference::RepositoryIndexResponse& response) {
  RETURN_IF_ERROR(CheckNoRepositoryName(request.repository_name()));
  std::vector<RepositoryControl::Version> versions =
      repository == nullptr ? Served(table) : repository->Index();
  std::sort(versions.begin(), versions.end(), [](const auto& a, const auto& b) {
    return std::tie(a.model, a.version) < std::tie(b.model, b.version);
  });
  for (RepositoryControl::Version& version : versions) {
    if (request.ready() && version.state != "READY") continue;
    inference::RepositoryIndexResponse::ModelIndex& model = *response.add_models();
    model.set_name(std::move(version.model));
    if (version.version > 0) model.set_version(absl::StrCat(version.version));
    model.set_state(std::move(version.state));
    model.set_reason(std::move(version.reason));
  }
  return absl::OkStatus();
}

void LoadModel(const inference::RepositoryModelLoadRequest& request, RepositoryControl* repository,
               RepositoryControl::Done done) {
  absl::Status status = CheckLoad(request, repository);
  if (!status.ok()) return std::move(done)(std::move(status));
  repository->Load(request.model_name(), std::move(done));
}

void UnloadModel(const inference::RepositoryModelUnloadRequest& request, RepositoryControl* repository,
                 RepositoryControl::Done done) {
  // "unload_dependents" is let pass: no model depends on another.
  absl::Status status = CheckUnload(request, repository);
  if (!status.ok()) return std::move(done)(std::move(status));
  repository->Unload(request.model_name(), std::move(done));
}

}  // namespace calserve::kserve
