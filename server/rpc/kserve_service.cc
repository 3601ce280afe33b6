#include "server/rpc/kserve_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "server/base/status_macros.h"
#include "server/rpc/detachable_call.h"
#include "server/rpc/kserve_describe.h"
#include "server/rpc/kserve_models.h"
#include "server/rpc/kserve_repository.h"
#include "server/rpc/kserve_stream.h"
#include "server/rpc/message_call.h"

namespace calserve {
namespace {

using Reactor = grpc::ServerUnaryReactor;

// Of Triton's extensions, those that hold here.
constexpr const char* kExtensions[] = {"classification", "schedule_policy", "model_configuration",
                                       "parameters", "statistics"};

Reactor* Finish(grpc::CallbackServerContext* context, const absl::Status& status) {
  Reactor* const reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

Reactor* Refuse(grpc::CallbackServerContext* context, Admission admission, const absl::Status& why) {
  admission.Refuse(why);
  return Finish(context, why);
}

// Answers at once, also while the server drains.
Reactor* Answer(grpc::CallbackServerContext* context, Admission admission, const absl::Status& status) {
  if (const absl::Status may = admission.status(); !may.ok())
    return Refuse(context, std::move(admission), may);
  admission.End(status);
  return Finish(context, status);
}

// The same with a message, where the status is OK.
Reactor* Answer(grpc::CallbackServerContext* context, Admission admission, const absl::Status& status,
                const google::protobuf::Message& message, grpc::ByteBuffer* answer) {
  return Answer(context, std::move(admission), status.ok() ? SerializeMessage(message, *answer) : status);
}

// Answers with what `work` returns and makes of the response, unless the server drains.
template <typename Request, typename Response>
Reactor* Run(CallTracker& calls, Admission admission, const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer,
             absl::FunctionRef<absl::Status(const Request&, Response&, Admission&)> work) {
  auto* call = new MessageCall<Request, Response>(calls, std::move(admission), answer);
  if (call->Read(bytes)) call->Reply(work(call->request(), call->response(), call->admission()));
  return call;
}

// Has the repository do `work`, which tells the call when it is done: the call does not wait for it once its
// client has gone.
template <typename Request, typename Response>
Reactor* RunDetached(CallTracker& calls, grpc::CallbackServerContext* context, Admission admission,
                     const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer,
                     absl::FunctionRef<void(const Request&, ModelRepository::Done)> work) {
  Request request;
  ByteBudget::Share held;
  absl::Status read = admission.ok() ? ParseMessage(*bytes, request, held) : absl::OkStatus();
  if (read.ok()) read = SerializeMessage(Response(), *answer);
  if (!read.ok()) return Refuse(context, std::move(admission), read);
  auto* call = new DetachableCall(calls, std::move(admission));
  if (!call->accepted()) return call;
  call->About(request.model_name());
  call->admission().Note("model", request.model_name());
  work(request, call->Replier());
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

Reactor* KserveService::ServerLive(Context* context, const grpc::ByteBuffer*, grpc::ByteBuffer* answer) {
  inference::ServerLiveResponse response;
  response.set_live(true);
  return Answer(context, backends_.gate.Open(*context, method::kServerLive), absl::OkStatus(), response,
                answer);
}

Reactor* KserveService::ServerReady(Context* context, const grpc::ByteBuffer*, grpc::ByteBuffer* answer) {
  inference::ServerReadyResponse response;
  response.set_ready(backends_.ready);
  return Answer(context, backends_.gate.Open(*context, method::kServerReady), absl::OkStatus(), response,
                answer);
}

Reactor* KserveService::ModelReady(Context* context, const grpc::ByteBuffer* bytes,
                                   grpc::ByteBuffer* answer) {
  Admission admission = backends_.gate.Authorize(*context, method::kModelReady);
  if (!admission.ok()) return Answer(context, std::move(admission), absl::OkStatus());
  inference::ModelReadyRequest request;
  ByteBudget::Share held;
  if (absl::Status read = ParseMessage(*bytes, request, held); !read.ok())
    return Refuse(context, std::move(admission), read);
  inference::ModelReadyResponse response;
  absl::StatusOr<Snapshot> found = kserve::FindModel(backends_.table, request.name(), request.version());
  if (found.ok()) {
    admission.About(*found->model);
    response.set_ready(backends_.ready);
    return Answer(context, std::move(admission), absl::OkStatus(), response, answer);
  }
  const bool known = kserve::KnowsModel(backends_.repository, request.name(), request.version());
  admission.About(request.name());
  return Answer(context, std::move(admission), known ? absl::OkStatus() : found.status(), response, answer);
}

Reactor* KserveService::ServerMetadata(Context* context, const grpc::ByteBuffer* bytes,
                                       grpc::ByteBuffer* answer) {
  auto caller = backends_.gate.Authorize(*context, method::kServerMetadata);
  const auto work = [&](const auto&, auto& response, Admission&) -> absl::Status {
    response.set_name("calserve");
    response.set_version(CALSERVE_VERSION);
    for (const char* extension : kExtensions) response.add_extensions(extension);
    const bool controlled = backends_.repository != nullptr && backends_.repository->takes_calls();
    if (controlled) response.add_extensions("model_repository");
    return absl::OkStatus();
  };
  return Run<inference::ServerMetadataRequest, inference::ServerMetadataResponse>(
      backends_.calls, std::move(caller), bytes, answer, work);
}

Reactor* KserveService::ModelMetadata(Context* context, const grpc::ByteBuffer* bytes,
                                      grpc::ByteBuffer* answer) {
  auto caller = backends_.gate.Authorize(*context, method::kModelMetadata);
  const auto work = [&](const auto& request, auto& response, Admission& admission) -> absl::Status {
    admission.About(request.name());
    ASSIGN_OR_RETURN(const Snapshot snapshot,
                     kserve::FindModel(backends_.table, request.name(), request.version()));
    admission.About(*snapshot.model);
    kserve::Describe(*snapshot.model, VersionsOf(backends_.table, request.name()),
                     kserve::PropertiesOf(snapshot, backends_.monitor, backends_.window), response);
    return absl::OkStatus();
  };
  return Run<inference::ModelMetadataRequest, inference::ModelMetadataResponse>(
      backends_.calls, std::move(caller), bytes, answer, work);
}

Reactor* KserveService::ModelConfig(Context* context, const grpc::ByteBuffer* bytes,
                                    grpc::ByteBuffer* answer) {
  auto caller = backends_.gate.Authorize(*context, method::kModelConfig);
  const auto work = [&](const auto& request, auto& response, Admission& admission) -> absl::Status {
    admission.About(request.name());
    ASSIGN_OR_RETURN(const Snapshot snapshot,
                     kserve::FindModel(backends_.table, request.name(), request.version()));
    admission.About(*snapshot.model);
    kserve::Describe(*snapshot.model, kserve::PropertiesOf(snapshot, backends_.monitor, backends_.window),
                     *response.mutable_config());
    return absl::OkStatus();
  };
  return Run<inference::ModelConfigRequest, inference::ModelConfigResponse>(
      backends_.calls, std::move(caller), bytes, answer, work);
}

Reactor* KserveService::ModelStatistics(Context* context, const grpc::ByteBuffer* bytes,
                                        grpc::ByteBuffer* answer) {
  auto caller = backends_.gate.Authorize(*context, method::kModelStatistics);
  const auto work = [&](const auto& request, auto& response, Admission& admission) -> absl::Status {
    admission.About(request.name());
    if (!request.name().empty()) {
      ASSIGN_OR_RETURN(const Snapshot snapshot,
                       kserve::FindModel(backends_.table, request.name(), request.version()));
      admission.About(*snapshot.model);
      if (!request.version().empty()) {
        kserve::Describe(*snapshot.model, *response.add_model_stats());
        return absl::OkStatus();
      }
    }
    for (const Snapshot& snapshot : backends_.table.List()) {
      if (!request.name().empty() && snapshot.model->name != request.name()) continue;
      kserve::Describe(*snapshot.model, *response.add_model_stats());
    }
    return absl::OkStatus();
  };
  return Run<inference::ModelStatisticsRequest, inference::ModelStatisticsResponse>(
      backends_.calls, std::move(caller), bytes, answer, work);
}

Reactor* KserveService::ModelInfer(Context* context, const grpc::ByteBuffer* bytes,
                                   grpc::ByteBuffer* answer) {
  using Call = MessageCall<inference::ModelInferRequest, inference::ModelInferResponse>;
  const absl::Time received = absl::Now();
  auto* call = new Call(backends_.calls, backends_.gate.Authorize(*context, method::kModelInfer), answer);
  if (!call->Read(bytes)) return call;
  call->admission().About(call->request().model_name());
  inference_.Infer(Rpc::kModelInfer, call->request(), call->tensors(), received, Deadline(*context),
                   call->cancel(), &call->response(),
                   [call](const absl::Status& status) { call->Reply(status, WhenFull::kRefuse); });
  return call;
}

ByteStream* KserveService::ModelStreamInfer(Context* context) {
  return kserve::NewStream(inference_, backends_.calls,
                           backends_.gate.Authorize(*context, method::kModelStreamInfer), *context);
}

Reactor* KserveService::RepositoryIndex(Context* context, const grpc::ByteBuffer* bytes,
                                        grpc::ByteBuffer* answer) {
  auto caller = backends_.gate.Authorize(*context, method::kRepositoryIndex);
  const auto work = [&](const auto& request, auto& response, Admission&) -> absl::Status {
    return kserve::ListRepository(request, backends_.table, backends_.repository, response);
  };
  return Run<inference::RepositoryIndexRequest, inference::RepositoryIndexResponse>(
      backends_.calls, std::move(caller), bytes, answer, work);
}

Reactor* KserveService::RepositoryModelLoad(Context* context, const grpc::ByteBuffer* bytes,
                                            grpc::ByteBuffer* answer) {
  auto caller = backends_.gate.Authorize(*context, method::kRepositoryModelLoad);
  return RunDetached<inference::RepositoryModelLoadRequest, inference::RepositoryModelLoadResponse>(
      backends_.calls, context, std::move(caller), bytes, answer,
      [&](const auto& request, ModelRepository::Done done) {
        kserve::LoadModel(request, backends_.repository, std::move(done));
      });
}

Reactor* KserveService::RepositoryModelUnload(Context* context, const grpc::ByteBuffer* bytes,
                                              grpc::ByteBuffer* answer) {
  auto caller = backends_.gate.Authorize(*context, method::kRepositoryModelUnload);
  return RunDetached<inference::RepositoryModelUnloadRequest, inference::RepositoryModelUnloadResponse>(
      backends_.calls, context, std::move(caller), bytes, answer,
      [&](const auto& request, ModelRepository::Done done) {
        kserve::UnloadModel(request, backends_.repository, std::move(done));
      });
}

Reactor* KserveService::SystemSharedMemoryStatus(Context* context, const grpc::ByteBuffer*,
                                                 grpc::ByteBuffer*) {
  return NoSharedMemory(context, backends_.gate.Authorize(*context, method::kSystemSharedMemoryStatus));
}

Reactor* KserveService::SystemSharedMemoryRegister(Context* context, const grpc::ByteBuffer*,
                                                   grpc::ByteBuffer*) {
  return NoSharedMemory(context, backends_.gate.Authorize(*context, method::kSystemSharedMemoryRegister));
}

Reactor* KserveService::SystemSharedMemoryUnregister(Context* context, const grpc::ByteBuffer*,
                                                     grpc::ByteBuffer*) {
  return NoSharedMemory(context, backends_.gate.Authorize(*context, method::kSystemSharedMemoryUnregister));
}

Reactor* KserveService::CudaSharedMemoryStatus(Context* context, const grpc::ByteBuffer*, grpc::ByteBuffer*) {
  return NoSharedMemory(context, backends_.gate.Authorize(*context, method::kCudaSharedMemoryStatus));
}

Reactor* KserveService::CudaSharedMemoryRegister(Context* context, const grpc::ByteBuffer*,
                                                 grpc::ByteBuffer*) {
  return NoSharedMemory(context, backends_.gate.Authorize(*context, method::kCudaSharedMemoryRegister));
}

Reactor* KserveService::CudaSharedMemoryUnregister(Context* context, const grpc::ByteBuffer*,
                                                   grpc::ByteBuffer*) {
  return NoSharedMemory(context, backends_.gate.Authorize(*context, method::kCudaSharedMemoryUnregister));
}

Reactor* KserveService::TraceSetting(Context* context, const grpc::ByteBuffer*, grpc::ByteBuffer*) {
  return Unsupported(context, backends_.gate.Authorize(*context, method::kTraceSetting), "trace settings are",
                     "a response's parameters say where its time went");
}

Reactor* KserveService::LogSettings(Context* context, const grpc::ByteBuffer*, grpc::ByteBuffer*) {
  return Unsupported(context, backends_.gate.Authorize(*context, method::kLogSettings), "log settings are",
                     "calserve.v1.ServerService/SetLogLevel changes the level");
}

}  // namespace calserve
