#ifndef CALSERVE_SERVER_RPC_KSERVE_REPOSITORY_H_
#define CALSERVE_SERVER_RPC_KSERVE_REPOSITORY_H_

#include "absl/status/status.h"
#include "inference/grpc_service.pb.h"
#include "server/prediction/serving_table.h"
#include "server/rpc/repository_control.h"

// The model repository over KServe v2. Without a RepositoryControl (null) the index has what is served, and
// load and unload are FAILED_PRECONDITION. UNIMPLEMENTED for a repository_name: there is one repository.
namespace calserve::kserve {

// By name, then version.
absl::Status ListRepository(const inference::RepositoryIndexRequest& request, const ServingTable& table,
                            const RepositoryControl* repository,
                            inference::RepositoryIndexResponse& response);

// Each calls `done` exactly once. INVALID_ARGUMENT for a configuration or a file in the request: only what
// lies in the repository is ever loaded.
void LoadModel(const inference::RepositoryModelLoadRequest& request, RepositoryControl* repository,
               RepositoryControl::Done done);
void UnloadModel(const inference::RepositoryModelUnloadRequest& request, RepositoryControl* repository,
                 RepositoryControl::Done done);

}  // namespace calserve::kserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_REPOSITORY_H_
