#include "client/cli/model_choice.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/json_output.h"
#include "client/cli/session.h"

namespace calserve::cli {
namespace {

bool IsReady(const client::ModelInfo& model) {
  return std::any_of(model.versions.begin(), model.versions.end(), [](const auto& version) {
    return version.state == client::ModelVersionInfo::State::kReady;
  });
}

}  // namespace

std::vector<std::string> WhyNotReady(const client::ModelInfo& model) {
  std::vector<std::string> why;
  if (!model.reason.empty()) why.push_back(absl::StrCat(model.name, ": ", model.reason));
  for (const client::ModelVersionInfo& version : model.versions) {
    if (version.state == client::ModelVersionInfo::State::kReady && version.reason.empty()) continue;
    why.push_back(absl::StrCat(model.name, "/", version.version, " ", StateName(version.state),
                               version.reason.empty() ? "" : ": ", version.reason));
  }
  return why;
}

absl::StatusOr<client::ModelInfo> FindModel(const Client& client, const std::string& name) {
  if (!name.empty()) return client.GetModel(name);
  const absl::StatusOr<std::vector<client::ModelInfo>> models = client.ListModels();
  if (!models.ok()) return models.status();
  return OnlyReadyModel(*models, client.options().target);
}

absl::StatusOr<client::ModelInfo> OnlyReadyModel(const std::vector<client::ModelInfo>& models,
                                                 const std::string& server) {
  if (models.empty()) return absl::NotFoundError(absl::StrCat(server, " serves no model"));
  std::vector<std::string> ready, why_not;
  const client::ModelInfo* found = nullptr;
  for (const client::ModelInfo& model : models) {
    if (IsReady(model)) {
      ready.push_back(model.name);
      found = &model;
    } else {
      for (std::string& why : WhyNotReady(model)) why_not.push_back(std::move(why));
    }
  }
  if (ready.size() == 1) return *found;
  if (ready.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no model of ", server, " is ready: ", absl::StrJoin(why_not, "; ")));
  }
  return UsageError(absl::StrCat("--model is needed, the server has several: ", absl::StrJoin(ready, ", ")));
}

}  // namespace calserve::cli
