#include "tests/end_to_end/kserve_api.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "inference/grpc_service.grpc.pb.h"

namespace calserve::e2e {
namespace {

constexpr std::chrono::seconds kTimeout(60);

template <typename Stub, typename Request, typename Response>
CallStatus Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                const Request& request, Response* response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTimeout);
  const grpc::Status status = (stub.*method)(&context, request, response);
  CallStatus out;
  out.code = static_cast<absl::StatusCode>(status.error_code());
  out.message = status.error_message();
  return out;
}

}  // namespace

struct KserveApi::Stub {
  explicit Stub(const std::string& address)
      : service(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())) {}
  inference::GRPCInferenceService::Stub service;
};

KserveApi::KserveApi(const std::string& address) : stub_(std::make_unique<Stub>(address)) {}
KserveApi::~KserveApi() = default;

Reply<inference::ModelInferResponse> KserveApi::Infer(const inference::ModelInferRequest& request) const {
  Reply<inference::ModelInferResponse> reply;
  reply.status =
      Call(stub_->service, &inference::GRPCInferenceService::Stub::ModelInfer, request, &reply.response);
  return reply;
}

CallStatus KserveApi::Load(const std::string& model) const {
  inference::RepositoryModelLoadRequest request;
  request.set_model_name(model);
  inference::RepositoryModelLoadResponse response;
  return Call(stub_->service, &inference::GRPCInferenceService::Stub::RepositoryModelLoad, request,
              &response);
}

CallStatus KserveApi::Unload(const std::string& model) const {
  inference::RepositoryModelUnloadRequest request;
  request.set_model_name(model);
  inference::RepositoryModelUnloadResponse response;
  return Call(stub_->service, &inference::GRPCInferenceService::Stub::RepositoryModelUnload, request,
              &response);
}

}  // namespace calserve::e2e
