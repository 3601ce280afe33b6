#ifndef CALSERVE_CLIENT_CLI_MODEL_CHOICE_H_
#define CALSERVE_CLIENT_CLI_MODEL_CHOICE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/client.h"

namespace calserve::cli {

// The model of that name; with an empty name the only one that is ready.
absl::StatusOr<client::ModelInfo> FindModel(const client::Client& client, const std::string& name);
// The one of `server`'s models that has a READY version. NOT_FOUND with the reasons where none has; where
// several have, they are named.
absl::StatusOr<client::ModelInfo> OnlyReadyModel(const std::vector<client::ModelInfo>& models,
                                                 const std::string& server);
// What is wrong with a model, and with each version that is not READY, or not as it is on the server's disk:
// "NAME: REASON", "NAME/VERSION STATE: REASON".
std::vector<std::string> WhyNotReady(const client::ModelInfo& model);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_MODEL_CHOICE_H_
