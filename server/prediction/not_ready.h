#ifndef CALSERVE_SERVER_PREDICTION_NOT_READY_H_
#define CALSERVE_SERVER_PREDICTION_NOT_READY_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/model/model_repository.h"
#include "server/prediction/serving_table.h"

namespace calserve {

// What to say of a choice that nothing published answers, by what the repository knows. UNAVAILABLE with the
// reason MODEL_NOT_READY where a version of it is loading, waits to be loaded, is unloading, or failed, in
// words that say which, why, and what to do; one that is on its way has a time to retry after. NOT_FOUND with
// the reason MODEL_NOT_FOUND for a model that is not loaded, where models are loaded by call. OK where the
// model, the version or the label is not known, or somebody chose not to serve it: it is not found then.
absl::Status WhyNotReady(const std::vector<ModelStatus>& models, const std::string& name,
                         const VersionChoice& choice, bool loaded_by_call);

// Whether there is such a model, or such a version of it (0: any), in whatever state.
bool IsKnown(const std::vector<ModelStatus>& models, const std::string& name, int64_t version);

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_NOT_READY_H_
