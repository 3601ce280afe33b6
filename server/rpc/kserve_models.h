#ifndef CALSERVE_SERVER_RPC_KSERVE_MODELS_H_
#define CALSERVE_SERVER_RPC_KSERVE_MODELS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/prediction/serving_table.h"

namespace calserve::kserve {

// KServe v2 writes a version as text; empty text is nullopt: the server chooses. INVALID_ARGUMENT unless it
// is a whole number without a sign.
absl::StatusOr<std::optional<int64_t>> ParseVersion(const std::string& text);

// The version of a model that a request names: by number, by label (empty: none), or the newest. NOT_FOUND
// lists what there is; INVALID_ARGUMENT for a number and a label at once.
absl::StatusOr<Snapshot> FindModel(const ServingTable& table, const std::string& name,
                                   const std::string& version, const std::string& label = "");

}  // namespace calserve::kserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_MODELS_H_
