#ifndef CALSERVE_SERVER_RPC_PREDICTION_SERVICE_H_
#define CALSERVE_SERVER_RPC_PREDICTION_SERVICE_H_

#include "calserve/v1/prediction.grpc.pb.h"
#include "server/base/byte_pieces.h"
#include "server/prediction/predictor.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_tracker.h"
#include "server/rpc/tensors_in_place.h"
#include "server/rpc/wire_message.h"

namespace calserve {

// calserve.v1.PredictionService over Predictor.
class PredictionService final
    : public v1::PredictionService::WithRawCallbackMethod_Predict<
          v1::PredictionService::WithRawCallbackMethod_StreamPredict<v1::PredictionService::Service>> {
 public:
  // All outlive the service.
  PredictionService(const AccessGate& gate, Predictor& predictor, CallTracker& calls)
      : gate_(gate), predictor_(predictor), calls_(calls) {}

  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                    grpc::ByteBuffer* response) override;
  ByteStream* StreamPredict(grpc::CallbackServerContext* context) override;

 private:
  const AccessGate& gate_;
  Predictor& predictor_;
  CallTracker& calls_;
};

// The values of a request; its views point into `request`, and its large tensors into those `in_place`.
// Cannot fail: the rules live in prediction/.
PredictionRequest FromProto(const v1::PredictRequest& request, const TensorsInPlace& in_place);
PredictionInput FromProto(const v1::Input& input, BytePiecesView in_place = {});

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_PREDICTION_SERVICE_H_
