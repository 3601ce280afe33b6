#include "server/rpc/kserve_service.h"

#include <utility>

#include "server/rpc/unary_call.h"

namespace calserve {

grpc::ServerUnaryReactor* KserveService::ServerLive(grpc::CallbackServerContext* context,
                                                    const inference::ServerLiveRequest*,
                                                    inference::ServerLiveResponse* response) {
  response->set_live(true);
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* KserveService::ModelInfer(grpc::CallbackServerContext* context,
                                                    const inference::ModelInferRequest* request,
                                                    inference::ModelInferResponse* response) {
  auto* call = new UnaryCall(calls_);
  if (!call->accepted()) return call;
  inference_.Infer(*request, Deadline(*context), call->cancel(), response,
                   [call](const absl::Status& status) { call->Reply(status); });
  return call;
}

}  // namespace calserve
