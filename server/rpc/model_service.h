#ifndef CALSERVE_SERVER_RPC_MODEL_SERVICE_H_
#define CALSERVE_SERVER_RPC_MODEL_SERVICE_H_

#include <map>
#include <string>

#include "calserve/v1/model.grpc.pb.h"
#include "server/model/model_repository.h"
#include "server/prediction/serving_table.h"
#include "server/recalibration/calibrator_registry.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_tracker.h"

namespace calserve {

// calserve.v1.ModelService over the serving table and the repository of versions.
class ModelService final : public v1::ModelService::WithRawCallbackMethod_ListModels<
                               v1::ModelService::WithRawCallbackMethod_GetModel<v1::ModelService::Service>> {
 public:
  // All outlive the service. `repository` may be null: then what the table serves is all there is.
  ModelService(const AccessGate& gate, const ServingTable& table, CalibratorRegistry& registry,
               const ModelRepository* repository, CallTracker& calls)
      : gate_(gate), table_(table), registry_(registry), repository_(repository), calls_(calls) {}

  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes,
                                       grpc::ByteBuffer* answer) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes,
                                     grpc::ByteBuffer* answer) override;

 private:
  // By name.
  std::map<std::string, v1::Model> Models() const;

  const AccessGate& gate_;
  const ServingTable& table_;
  CalibratorRegistry& registry_;
  const ModelRepository* const repository_;
  CallTracker& calls_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_MODEL_SERVICE_H_
