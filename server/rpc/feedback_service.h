#ifndef CALSERVE_SERVER_RPC_FEEDBACK_SERVICE_H_
#define CALSERVE_SERVER_RPC_FEEDBACK_SERVICE_H_

#include "calserve/v1/feedback.grpc.pb.h"
#include "server/feedback/feedback_ingestor.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_tracker.h"
#include "server/rpc/wire_message.h"

namespace calserve {

// calserve.v1.FeedbackService over FeedbackIngestor.
class FeedbackService final
    : public v1::FeedbackService::WithRawCallbackMethod_SubmitFeedback<
          v1::FeedbackService::WithRawCallbackMethod_StreamFeedback<v1::FeedbackService::Service>> {
 public:
  // All outlive the service.
  FeedbackService(const AccessGate& gate, FeedbackIngestor& ingestor, CallTracker& calls)
      : gate_(gate), ingestor_(ingestor), calls_(calls) {}

  grpc::ServerUnaryReactor* SubmitFeedback(grpc::CallbackServerContext* context,
                                           const grpc::ByteBuffer* request,
                                           grpc::ByteBuffer* response) override;
  ByteStream* StreamFeedback(grpc::CallbackServerContext* context) override;

 private:
  const AccessGate& gate_;
  FeedbackIngestor& ingestor_;
  CallTracker& calls_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_FEEDBACK_SERVICE_H_
