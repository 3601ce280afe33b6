#ifndef CALSERVE_SERVER_RPC_KSERVE_SERVICE_H_
#define CALSERVE_SERVER_RPC_KSERVE_SERVICE_H_

#include "inference/grpc_service.grpc.pb.h"
#include "server/prediction/predictor.h"
#include "server/rpc/call_tracker.h"
#include "server/rpc/kserve_infer.h"

namespace calserve {

// inference.GRPCInferenceService, KServe v2 with Triton's extensions, over the same models.
class KserveService final : public inference::GRPCInferenceService::CallbackService {
 public:
  // All outlive the service.
  KserveService(Predictor& predictor, const ServingTable& table, CallTracker& calls)
      : inference_(predictor, table), calls_(calls) {}

  grpc::ServerUnaryReactor* ServerLive(grpc::CallbackServerContext* context,
                                       const inference::ServerLiveRequest* request,
                                       inference::ServerLiveResponse* response) override;
  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* context,
                                       const inference::ModelInferRequest* request,
                                       inference::ModelInferResponse* response) override;

 private:
  kserve::Inference inference_;
  CallTracker& calls_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_SERVICE_H_
