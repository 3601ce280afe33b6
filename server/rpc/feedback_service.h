#ifndef CALSERVE_SERVER_RPC_FEEDBACK_SERVICE_H_
#define CALSERVE_SERVER_RPC_FEEDBACK_SERVICE_H_

#include "calserve/v1/feedback.grpc.pb.h"
#include "server/feedback/feedback_ingestor.h"
#include "server/rpc/call_tracker.h"

namespace calserve {

// calserve.v1.FeedbackService over FeedbackIngestor.
class FeedbackService final : public v1::FeedbackService::CallbackService {
 public:
  // Both outlive the service.
  FeedbackService(FeedbackIngestor& ingestor, CallTracker& calls) : ingestor_(ingestor), calls_(calls) {}

  grpc::ServerUnaryReactor* SubmitFeedback(grpc::CallbackServerContext* context,
                                           const v1::SubmitFeedbackRequest* request,
                                           v1::SubmitFeedbackResponse* response) override;
  grpc::ServerBidiReactor<v1::StreamFeedbackRequest, v1::StreamFeedbackResponse>* StreamFeedback(
      grpc::CallbackServerContext* context) override;

 private:
  FeedbackIngestor& ingestor_;
  CallTracker& calls_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_FEEDBACK_SERVICE_H_
