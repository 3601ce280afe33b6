#include "server/rpc/kserve_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/status_macros.h"
#include "server/rpc/detachable_call.h"
#include "server/rpc/kserve_describe.h"
#include "server/rpc/kserve_models.h"
#include "server/rpc/kserve_repository.h"
#include "server/rpc/kserve_stream.h"
#include "server/rpc/message_call.h"
#include "server/rpc/unary_call.h"

namespace calserve {
namespace {

using Reactor = grpc::ServerUnaryReactor;

// Of Triton's extensions, those that hold here.
constexpr const char* kExtensions[] = {"classification", "schedule_policy", "model_configuration",
                                       "parameters", "statistics"};

// Answers at once, also while the server drains.
Reactor* Answer(grpc::CallbackServerContext* context, Admission admission, const absl::Status& status) {
  if (admission.ok()) {
    admission.End(status);
  } else {
    admission.Refuse(admission.status());
  }
  Reactor* const reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(admission.ok() ? status : admission.status()));
  return reactor;
}

// Answers with what `work` returns, unless the server drains.
template <typename Work>
Reactor* Run(CallTracker& calls, Admission admission, Work work) {
  auto* call = new UnaryCall(calls, std::move(admission));
  if (call->accepted()) call->Reply(work(call->admission()));
  return call;
}

Reactor* Unsupported(grpc::CallbackServerContext* context, Admission admission, absl::string_view what,
                     absl::string_view instead) {
  return Answer(context, std::move(admission),
                absl::UnimplementedError(absl::StrCat(what, " not supported: ", instead)));
}

Reactor* NoSharedMemory(grpc::CallbackServerContext* context, Admission admission) {
  return Unsupported(context, std::move(admission), "shared memory is", "send tensors in the request");
}

// The versions of a model that can be asked, oldest first.
std::vector<int64_t> VersionsOf(const ServingTable& table, const std::string& model) {
  std::vector<int64_t> versions;
  for (const Snapshot& snapshot : table.List()) {
    if (snapshot.model->name == model) versions.push_back(snapshot.model->version);
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

}  // namespace

Reactor* KserveService::ServerLive(Context* context, const inference::ServerLiveRequest*,
                                   inference::ServerLiveResponse* response) {
  response->set_live(true);
  return Answer(context, backends_.gate.Open(*context, method::kServerLive), absl::OkStatus());
}

Reactor* KserveService::ServerReady(Context* context, const inference::ServerReadyRequest*,
                                    inference::ServerReadyResponse* response) {
  response->set_ready(backends_.ready);
  return Answer(context, backends_.gate.Open(*context, method::kServerReady), absl::OkStatus());
}

Reactor* KserveService::ModelReady(Context* context, const inference::ModelReadyRequest* request,
                                   inference::ModelReadyResponse* response) {
  Admission admission = backends_.gate.Authorize(*context, method::kModelReady);
  if (!admission.ok()) return Answer(context, std::move(admission), absl::OkStatus());
  admission.About(request->name());
  const absl::StatusOr<Snapshot> found =
      kserve::FindModel(backends_.table, request->name(), request->version());
  if (found.ok()) {
    admission.About(*found->model);
    response->set_ready(backends_.ready);
    return Answer(context, std::move(admission), absl::OkStatus());
  }
  response->set_ready(false);
  const bool known = kserve::KnowsModel(backends_.repository, request->name(), request->version());
  return Answer(context, std::move(admission), known ? absl::OkStatus() : found.status());
}

Reactor* KserveService::ServerMetadata(Context* context, const inference::ServerMetadataRequest*,
                                       inference::ServerMetadataResponse* response) {
  auto caller = backends_.gate.Authorize(*context, method::kServerMetadata);
  return Run(backends_.calls, std::move(caller), [&](Admission&) {
    response->set_name("calserve");
    response->set_version(CALSERVE_VERSION);
    for (const char* extension : kExtensions) response->add_extensions(extension);
    const bool controlled = backends_.repository != nullptr && backends_.repository->takes_calls();
    if (controlled) response->add_extensions("model_repository");
    return absl::OkStatus();
  });
}

Reactor* KserveService::ModelMetadata(Context* context, const inference::ModelMetadataRequest* request,
                                      inference::ModelMetadataResponse* response) {
  auto caller = backends_.gate.Authorize(*context, method::kModelMetadata);
  return Run(backends_.calls, std::move(caller), [&](Admission& admission) -> absl::Status {
    admission.About(request->name());
    ASSIGN_OR_RETURN(const Snapshot snapshot,
                     kserve::FindModel(backends_.table, request->name(), request->version()));
    admission.About(*snapshot.model);
    kserve::Describe(*snapshot.model, VersionsOf(backends_.table, request->name()),
                     kserve::PropertiesOf(snapshot, backends_.monitor, backends_.window), *response);
    return absl::OkStatus();
  });
}

Reactor* KserveService::ModelConfig(Context* context, const inference::ModelConfigRequest* request,
                                    inference::ModelConfigResponse* response) {
  auto caller = backends_.gate.Authorize(*context, method::kModelConfig);
  return Run(backends_.calls, std::move(caller), [&](Admission& admission) -> absl::Status {
    admission.About(request->name());
    ASSIGN_OR_RETURN(const Snapshot snapshot,
                     kserve::FindModel(backends_.table, request->name(), request->version()));
    admission.About(*snapshot.model);
    kserve::Describe(*snapshot.model, kserve::PropertiesOf(snapshot, backends_.monitor, backends_.window),
                     *response->mutable_config());
    return absl::OkStatus();
  });
}

Reactor* KserveService::ModelStatistics(Context* context, const inference::ModelStatisticsRequest* request,
                                        inference::ModelStatisticsResponse* response) {
  auto caller = backends_.gate.Authorize(*context, method::kModelStatistics);
  return Run(backends_.calls, std::move(caller), [&](Admission& admission) -> absl::Status {
    admission.About(request->name());
    if (!request->name().empty()) {
      ASSIGN_OR_RETURN(const Snapshot snapshot,
                       kserve::FindModel(backends_.table, request->name(), request->version()));
      admission.About(*snapshot.model);
      if (!request->version().empty()) {
        kserve::Describe(*snapshot.model, *response->add_model_stats());
        return absl::OkStatus();
      }
    }
    for (const Snapshot& snapshot : backends_.table.List()) {
      if (!request->name().empty() && snapshot.model->name != request->name()) continue;
      kserve::Describe(*snapshot.model, *response->add_model_stats());
    }
    return absl::OkStatus();
  });
}

Reactor* KserveService::ModelInfer(Context* context, const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) {
  using Call = MessageCall<inference::ModelInferRequest, inference::ModelInferResponse>;
  auto* call = new Call(backends_.calls, backends_.gate.Authorize(*context, method::kModelInfer), response);
  if (!call->Read(request)) return call;
  call->admission().About(call->request().model_name());
  inference_.Infer(Rpc::kModelInfer, call->request(), Deadline(*context), call->cancel(), &call->response(),
                   [call](const absl::Status& status) { call->Reply(status); });
  return call;
}

ByteStream* KserveService::ModelStreamInfer(Context* context) {
  return kserve::NewStream(inference_, backends_.calls,
                           backends_.gate.Authorize(*context, method::kModelStreamInfer), *context);
}

Reactor* KserveService::RepositoryIndex(Context* context, const inference::RepositoryIndexRequest* request,
                                        inference::RepositoryIndexResponse* response) {
  auto caller = backends_.gate.Authorize(*context, method::kRepositoryIndex);
  return Run(backends_.calls, std::move(caller), [&](Admission&) {
    return kserve::ListRepository(*request, backends_.table, backends_.repository, *response);
  });
}

Reactor* KserveService::RepositoryModelLoad(Context* context,
                                            const inference::RepositoryModelLoadRequest* request,
                                            inference::RepositoryModelLoadResponse*) {
  auto* call =
      new DetachableCall(backends_.calls, backends_.gate.Authorize(*context, method::kRepositoryModelLoad));
  if (!call->accepted()) return call;
  call->admission().About(request->model_name());
  call->admission().Note("model", request->model_name());
  kserve::LoadModel(*request, backends_.repository, call->Replier());
  return call;
}

Reactor* KserveService::RepositoryModelUnload(Context* context,
                                              const inference::RepositoryModelUnloadRequest* request,
                                              inference::RepositoryModelUnloadResponse*) {
  auto* call =
      new DetachableCall(backends_.calls, backends_.gate.Authorize(*context, method::kRepositoryModelUnload));
  if (!call->accepted()) return call;
  call->admission().About(request->model_name());
  call->admission().Note("model", request->model_name());
  kserve::UnloadModel(*request, backends_.repository, call->Replier());
  return call;
}

Reactor* KserveService::SystemSharedMemoryStatus(Context* context,
                                                 const inference::SystemSharedMemoryStatusRequest*,
                                                 inference::SystemSharedMemoryStatusResponse*) {
  return NoSharedMemory(context, backends_.gate.Authorize(*context, method::kSystemSharedMemoryStatus));
}

Reactor* KserveService::SystemSharedMemoryRegister(Context* context,
                                                   const inference::SystemSharedMemoryRegisterRequest*,
                                                   inference::SystemSharedMemoryRegisterResponse*) {
  return NoSharedMemory(context, backends_.gate.Authorize(*context, method::kSystemSharedMemoryRegister));
}

Reactor* KserveService::SystemSharedMemoryUnregister(Context* context,
                                                     const inference::SystemSharedMemoryUnregisterRequest*,
                                                     inference::SystemSharedMemoryUnregisterResponse*) {
  return NoSharedMemory(context, backends_.gate.Authorize(*context, method::kSystemSharedMemoryUnregister));
}

Reactor* KserveService::CudaSharedMemoryStatus(Context* context,
                                               const inference::CudaSharedMemoryStatusRequest*,
                                               inference::CudaSharedMemoryStatusResponse*) {
  return NoSharedMemory(context, backends_.gate.Authorize(*context, method::kCudaSharedMemoryStatus));
}

Reactor* KserveService::CudaSharedMemoryRegister(Context* context,
                                                 const inference::CudaSharedMemoryRegisterRequest*,
                                                 inference::CudaSharedMemoryRegisterResponse*) {
  return NoSharedMemory(context, backends_.gate.Authorize(*context, method::kCudaSharedMemoryRegister));
}

Reactor* KserveService::CudaSharedMemoryUnregister(Context* context,
                                                   const inference::CudaSharedMemoryUnregisterRequest*,
                                                   inference::CudaSharedMemoryUnregisterResponse*) {
  return NoSharedMemory(context, backends_.gate.Authorize(*context, method::kCudaSharedMemoryUnregister));
}

Reactor* KserveService::TraceSetting(Context* context, const inference::TraceSettingRequest*,
                                     inference::TraceSettingResponse*) {
  return Unsupported(context, backends_.gate.Authorize(*context, method::kTraceSetting), "trace settings are",
                     "a response's parameters say where its time went");
}

Reactor* KserveService::LogSettings(Context* context, const inference::LogSettingsRequest*,
                                    inference::LogSettingsResponse*) {
  return Unsupported(context, backends_.gate.Authorize(*context, method::kLogSettings), "log settings are",
                     "calserve.v1.ServerService/SetLogLevel changes the level");
}

}  // namespace calserve
