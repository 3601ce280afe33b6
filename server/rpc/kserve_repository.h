#ifndef CALSERVE_SERVER_RPC_KSERVE_REPOSITORY_H_
#define CALSERVE_SERVER_RPC_KSERVE_REPOSITORY_H_

#include "absl/status/status.h"
#include "inference/grpc_service.pb.h"
#include "server/model/model_repository.h"
#include "server/prediction/serving_table.h"

// The model repository over KServe v2. Without a ModelRepository (null) the index has what is served, and
// load and unload are FAILED_PRECONDITION. UNIMPLEMENTED for a repository_name: there is one repository.
namespace calserve::kserve {

// By name, then version.
absl::Status ListRepository(const inference::RepositoryIndexRequest& request, const ServingTable& table,
                            const ModelRepository* repository, inference::RepositoryIndexResponse& response);

// Each calls `done` exactly once. INVALID_ARGUMENT for a configuration or a file in the request: only what
// lies in the repository is ever loaded.
void LoadModel(const inference::RepositoryModelLoadRequest& request, ModelRepository* repository,
               ModelRepository::Done done);
void UnloadModel(const inference::RepositoryModelUnloadRequest& request, ModelRepository* repository,
                 ModelRepository::Done done);

}  // namespace calserve::kserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_REPOSITORY_H_
