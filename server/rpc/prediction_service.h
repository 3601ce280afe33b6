#ifndef CALSERVE_SERVER_RPC_PREDICTION_SERVICE_H_
#define CALSERVE_SERVER_RPC_PREDICTION_SERVICE_H_

#include "calserve/v1/prediction.grpc.pb.h"
#include "server/prediction/predictor.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/arena_messages.h"
#include "server/rpc/call_tracker.h"

namespace calserve {

// calserve.v1.PredictionService over Predictor.
class PredictionService final : public v1::PredictionService::CallbackService {
 public:
  // All outlive the service.
  PredictionService(const AccessGate& gate, Predictor& predictor, CallTracker& calls)
      : gate_(gate), predictor_(predictor), calls_(calls) {
    SetMessageAllocatorFor_Predict(&messages_);
  }

  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context, const v1::PredictRequest* request,
                                    v1::PredictResponse* response) override;
  grpc::ServerBidiReactor<v1::StreamPredictRequest, v1::StreamPredictResponse>* StreamPredict(
      grpc::CallbackServerContext* context) override;

 private:
  const AccessGate& gate_;
  Predictor& predictor_;
  CallTracker& calls_;
  ArenaMessages<v1::PredictRequest, v1::PredictResponse> messages_;
};

// The values of a request; its views point into `request`. Cannot fail: the rules live in prediction/.
PredictionRequest FromProto(const v1::PredictRequest& request);
PredictionInput FromProto(const v1::Input& input);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_PREDICTION_SERVICE_H_
