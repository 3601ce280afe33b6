#include "tests/integration/live_calls.h"
#include "tests/integration/puppet_requests.h"

namespace calserve::integration {
namespace {

using Stub = inference::GRPCInferenceService::Stub;

inference::ModelInferRequest InferRequest(const Call& call) {
  const float row[kClasses] = {1, 2, 3, 4};
  inference::ModelInferRequest request = PuppetInferRequest(row);
  request.set_model_name(call.model());
  return request;
}

grpc::Status ServerLive(Call& call) {
  return Unary(*call.stubs.kserve, &Stub::ServerLive, call, inference::ServerLiveRequest());
}

grpc::Status ServerReady(Call& call) {
  return Unary(*call.stubs.kserve, &Stub::ServerReady, call, inference::ServerReadyRequest());
}

grpc::Status ModelReady(Call& call) {
  inference::ModelReadyRequest request;
  request.set_name(call.model());
  return Unary(*call.stubs.kserve, &Stub::ModelReady, call, request);
}

grpc::Status ServerMetadata(Call& call) {
  return Unary(*call.stubs.kserve, &Stub::ServerMetadata, call, inference::ServerMetadataRequest());
}

grpc::Status ModelMetadata(Call& call) {
  inference::ModelMetadataRequest request;
  request.set_name(call.model());
  return Unary(*call.stubs.kserve, &Stub::ModelMetadata, call, request);
}

grpc::Status ModelConfig(Call& call) {
  inference::ModelConfigRequest request;
  request.set_name(call.model());
  return Unary(*call.stubs.kserve, &Stub::ModelConfig, call, request);
}

grpc::Status ModelStatistics(Call& call) {
  inference::ModelStatisticsRequest request;
  request.set_name(call.model());
  return Unary(*call.stubs.kserve, &Stub::ModelStatistics, call, request);
}

grpc::Status ModelInfer(Call& call) {
  return Unary(*call.stubs.kserve, &Stub::ModelInfer, call, InferRequest(call));
}

// A bad request fails alone: the stream goes on and ends well.
grpc::Status ModelStreamInfer(Call& call) {
  const auto stream = call.stubs.kserve->ModelStreamInfer(&call.context);
  for (int i = 0; i < 3; ++i) stream->Write(InferRequest(call));
  stream->WritesDone();
  return ReadToTheEnd<inference::ModelStreamInferResponse>(*stream);
}

grpc::Status RepositoryIndex(Call& call) {
  return Unary(*call.stubs.kserve, &Stub::RepositoryIndex, call, inference::RepositoryIndexRequest());
}

grpc::Status RepositoryModelLoad(Call& call) {
  inference::RepositoryModelLoadRequest request;
  request.set_model_name(call.model());
  return Unary(*call.stubs.kserve, &Stub::RepositoryModelLoad, call, request);
}

grpc::Status RepositoryModelUnload(Call& call) {
  inference::RepositoryModelUnloadRequest request;
  request.set_model_name(call.model());
  return Unary(*call.stubs.kserve, &Stub::RepositoryModelUnload, call, request);
}

template <typename Request, typename Response>
Rpc Unsupported(const std::string& name,
                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  return {.name = name,
          .run = [method](Call& call) { return Unary(*call.stubs.kserve, method, call, Request()); },
          .can_be_held = false,
          .good = grpc::StatusCode::UNIMPLEMENTED,
          .bad = grpc::StatusCode::UNIMPLEMENTED,
          .in_a_drain = true};
}

}  // namespace

std::vector<Rpc> KserveRpcs() {
  using enum grpc::StatusCode;
  return {
      {.name = "ServerLive", .run = ServerLive, .can_be_held = false, .bad = OK, .in_a_drain = true},
      {.name = "ServerReady", .run = ServerReady, .can_be_held = false, .bad = OK, .in_a_drain = true},
      {.name = "ModelReady", .run = ModelReady, .can_be_held = false, .in_a_drain = true},
      {.name = "ServerMetadata", .run = ServerMetadata, .can_be_held = false, .bad = OK},
      {.name = "ModelMetadata", .run = ModelMetadata, .can_be_held = false},
      {.name = "ModelConfig", .run = ModelConfig, .can_be_held = false},
      {.name = "ModelStatistics", .run = ModelStatistics, .can_be_held = false},
      {.name = "ModelInfer", .run = ModelInfer},
      {.name = "ModelStreamInfer", .run = ModelStreamInfer, .bad = OK, .drained = UNAVAILABLE},
      {.name = "RepositoryIndex", .run = RepositoryIndex, .can_be_held = false, .bad = OK},
      {.name = "RepositoryModelLoad", .run = RepositoryModelLoad, .drained = UNAVAILABLE, .detaches = true},
      {.name = "RepositoryModelUnload",
       .run = RepositoryModelUnload,
       .drained = UNAVAILABLE,
       .detaches = true},
      Unsupported("SystemSharedMemoryStatus", &Stub::SystemSharedMemoryStatus),
      Unsupported("SystemSharedMemoryRegister", &Stub::SystemSharedMemoryRegister),
      Unsupported("SystemSharedMemoryUnregister", &Stub::SystemSharedMemoryUnregister),
      Unsupported("CudaSharedMemoryStatus", &Stub::CudaSharedMemoryStatus),
      Unsupported("CudaSharedMemoryRegister", &Stub::CudaSharedMemoryRegister),
      Unsupported("CudaSharedMemoryUnregister", &Stub::CudaSharedMemoryUnregister),
      Unsupported("TraceSetting", &Stub::TraceSetting),
      Unsupported("LogSettings", &Stub::LogSettings),
  };
}

}  // namespace calserve::integration
