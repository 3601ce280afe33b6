#ifndef CALSERVE_SERVER_RPC_KSERVE_SERVICE_H_
#define CALSERVE_SERVER_RPC_KSERVE_SERVICE_H_

#include <atomic>
#include <string>

#include "inference/grpc_service.grpc.pb.h"
#include "server/model/model_repository.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/prediction/predictor.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_tracker.h"
#include "server/rpc/kserve_infer.h"
#include "server/rpc/wire_message.h"

namespace calserve {

// All outlive the service.
struct KserveBackends {
  const AccessGate& gate;
  Predictor& predictor;
  const ServingTable& table;
  CalibrationMonitor& monitor;
  std::string window;           // of the ECE that metadata has
  ModelRepository* repository;  // null: what was loaded at the start is all there is
  CallTracker& calls;
  const std::atomic<bool>& ready;  // false: the server takes no new work
};

using KserveMethods =
    ServiceWith<inference::GRPCInferenceService::Service,
                inference::GRPCInferenceService::WithCallbackMethod_ServerLive,
                inference::GRPCInferenceService::WithCallbackMethod_ServerReady,
                inference::GRPCInferenceService::WithCallbackMethod_ModelReady,
                inference::GRPCInferenceService::WithCallbackMethod_ServerMetadata,
                inference::GRPCInferenceService::WithCallbackMethod_ModelMetadata,
                inference::GRPCInferenceService::WithRawCallbackMethod_ModelInfer,
                inference::GRPCInferenceService::WithRawCallbackMethod_ModelStreamInfer,
                inference::GRPCInferenceService::WithCallbackMethod_ModelConfig,
                inference::GRPCInferenceService::WithCallbackMethod_ModelStatistics,
                inference::GRPCInferenceService::WithCallbackMethod_RepositoryIndex,
                inference::GRPCInferenceService::WithCallbackMethod_RepositoryModelLoad,
                inference::GRPCInferenceService::WithCallbackMethod_RepositoryModelUnload,
                inference::GRPCInferenceService::WithCallbackMethod_SystemSharedMemoryStatus,
                inference::GRPCInferenceService::WithCallbackMethod_SystemSharedMemoryRegister,
                inference::GRPCInferenceService::WithCallbackMethod_SystemSharedMemoryUnregister,
                inference::GRPCInferenceService::WithCallbackMethod_CudaSharedMemoryStatus,
                inference::GRPCInferenceService::WithCallbackMethod_CudaSharedMemoryRegister,
                inference::GRPCInferenceService::WithCallbackMethod_CudaSharedMemoryUnregister,
                inference::GRPCInferenceService::WithCallbackMethod_TraceSetting,
                inference::GRPCInferenceService::WithCallbackMethod_LogSettings>::Type;

// inference.GRPCInferenceService, KServe v2 with Triton's extensions, over the models that calserve.v1
// serves.
class KserveService final : public KserveMethods {
 public:
  explicit KserveService(const KserveBackends& backends)
      : backends_(backends), inference_(backends.predictor) {}

  using Reactor = grpc::ServerUnaryReactor;
  using Context = grpc::CallbackServerContext;

  // Of health: answered also while the server drains; the first two to anybody.
  Reactor* ServerLive(Context* context, const inference::ServerLiveRequest* request,
                      inference::ServerLiveResponse* response) override;
  Reactor* ServerReady(Context* context, const inference::ServerReadyRequest* request,
                       inference::ServerReadyResponse* response) override;
  Reactor* ModelReady(Context* context, const inference::ModelReadyRequest* request,
                      inference::ModelReadyResponse* response) override;

  Reactor* ServerMetadata(Context* context, const inference::ServerMetadataRequest* request,
                          inference::ServerMetadataResponse* response) override;
  Reactor* ModelMetadata(Context* context, const inference::ModelMetadataRequest* request,
                         inference::ModelMetadataResponse* response) override;
  Reactor* ModelConfig(Context* context, const inference::ModelConfigRequest* request,
                       inference::ModelConfigResponse* response) override;
  Reactor* ModelStatistics(Context* context, const inference::ModelStatisticsRequest* request,
                           inference::ModelStatisticsResponse* response) override;

  Reactor* ModelInfer(Context* context, const grpc::ByteBuffer* request, grpc::ByteBuffer* response) override;
  ByteStream* ModelStreamInfer(Context* context) override;

  Reactor* RepositoryIndex(Context* context, const inference::RepositoryIndexRequest* request,
                           inference::RepositoryIndexResponse* response) override;
  Reactor* RepositoryModelLoad(Context* context, const inference::RepositoryModelLoadRequest* request,
                               inference::RepositoryModelLoadResponse* response) override;
  Reactor* RepositoryModelUnload(Context* context, const inference::RepositoryModelUnloadRequest* request,
                                 inference::RepositoryModelUnloadResponse* response) override;

  // Not supported: UNIMPLEMENTED with a sentence.
  Reactor* SystemSharedMemoryStatus(Context* context, const inference::SystemSharedMemoryStatusRequest*,
                                    inference::SystemSharedMemoryStatusResponse*) override;
  Reactor* SystemSharedMemoryRegister(Context* context, const inference::SystemSharedMemoryRegisterRequest*,
                                      inference::SystemSharedMemoryRegisterResponse*) override;
  Reactor* SystemSharedMemoryUnregister(Context* context,
                                        const inference::SystemSharedMemoryUnregisterRequest*,
                                        inference::SystemSharedMemoryUnregisterResponse*) override;
  Reactor* CudaSharedMemoryStatus(Context* context, const inference::CudaSharedMemoryStatusRequest*,
                                  inference::CudaSharedMemoryStatusResponse*) override;
  Reactor* CudaSharedMemoryRegister(Context* context, const inference::CudaSharedMemoryRegisterRequest*,
                                    inference::CudaSharedMemoryRegisterResponse*) override;
  Reactor* CudaSharedMemoryUnregister(Context* context, const inference::CudaSharedMemoryUnregisterRequest*,
                                      inference::CudaSharedMemoryUnregisterResponse*) override;
  Reactor* TraceSetting(Context* context, const inference::TraceSettingRequest*,
                        inference::TraceSettingResponse*) override;
  Reactor* LogSettings(Context* context, const inference::LogSettingsRequest*,
                       inference::LogSettingsResponse*) override;

 private:
  const KserveBackends backends_;
  kserve::Inference inference_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_SERVICE_H_
