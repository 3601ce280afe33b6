#ifndef CALSERVE_SERVER_RPC_KSERVE_MODELS_H_
#define CALSERVE_SERVER_RPC_KSERVE_MODELS_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/model/model_repository.h"
#include "server/prediction/serving_table.h"

namespace calserve::kserve {

// KServe v2 writes a version as text; empty text names none. INVALID_ARGUMENT unless it is a whole number
// without a sign, NOT_FOUND for 0.
absl::StatusOr<VersionChoice> ReadVersion(const std::string& text);

// The version of a model that is named, or the server's choice. NOT_FOUND lists what there is; UNAVAILABLE
// where it is known and not ready.
absl::StatusOr<Snapshot> FindModel(const ServingTable& table, const std::string& name,
                                   const std::string& version);

// Whether the repository (null: none does) has that version, or any where none is named, in whatever state.
bool KnowsModel(const ModelRepository* repository, const std::string& name, const std::string& version);

}  // namespace calserve::kserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_MODELS_H_
