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
                inference::GRPCInferenceService::WithRawCallbackMethod_ServerLive,
                inference::GRPCInferenceService::WithRawCallbackMethod_ServerReady,
                inference::GRPCInferenceService::WithRawCallbackMethod_ModelReady,
                inference::GRPCInferenceService::WithRawCallbackMethod_ServerMetadata,
                inference::GRPCInferenceService::WithRawCallbackMethod_ModelMetadata,
                inference::GRPCInferenceService::WithRawCallbackMethod_ModelInfer,
                inference::GRPCInferenceService::WithRawCallbackMethod_ModelStreamInfer,
                inference::GRPCInferenceService::WithRawCallbackMethod_ModelConfig,
                inference::GRPCInferenceService::WithRawCallbackMethod_ModelStatistics,
                inference::GRPCInferenceService::WithRawCallbackMethod_RepositoryIndex,
                inference::GRPCInferenceService::WithRawCallbackMethod_RepositoryModelLoad,
                inference::GRPCInferenceService::WithRawCallbackMethod_RepositoryModelUnload,
                inference::GRPCInferenceService::WithRawCallbackMethod_SystemSharedMemoryStatus,
                inference::GRPCInferenceService::WithRawCallbackMethod_SystemSharedMemoryRegister,
                inference::GRPCInferenceService::WithRawCallbackMethod_SystemSharedMemoryUnregister,
                inference::GRPCInferenceService::WithRawCallbackMethod_CudaSharedMemoryStatus,
                inference::GRPCInferenceService::WithRawCallbackMethod_CudaSharedMemoryRegister,
                inference::GRPCInferenceService::WithRawCallbackMethod_CudaSharedMemoryUnregister,
                inference::GRPCInferenceService::WithRawCallbackMethod_TraceSetting,
                inference::GRPCInferenceService::WithRawCallbackMethod_LogSettings>::Type;

// inference.GRPCInferenceService, KServe v2 with Triton's extensions, over the models that calserve.v1
// serves.
class KserveService final : public KserveMethods {
 public:
  explicit KserveService(const KserveBackends& backends)
      : backends_(backends), inference_(backends.predictor) {}

  using Reactor = grpc::ServerUnaryReactor;
  using Context = grpc::CallbackServerContext;

  // Of health: answered also while the server drains; the first two to anybody.
  Reactor* ServerLive(Context* context, const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) override;
  Reactor* ServerReady(Context* context, const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) override;
  Reactor* ModelReady(Context* context, const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) override;

  Reactor* ServerMetadata(Context* context, const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) override;
  Reactor* ModelMetadata(Context* context, const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) override;
  Reactor* ModelConfig(Context* context, const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) override;
  Reactor* ModelStatistics(Context* context, const grpc::ByteBuffer* bytes,
                           grpc::ByteBuffer* answer) override;

  Reactor* ModelInfer(Context* context, const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) override;
  ByteStream* ModelStreamInfer(Context* context) override;

  Reactor* RepositoryIndex(Context* context, const grpc::ByteBuffer* bytes,
                           grpc::ByteBuffer* answer) override;
  Reactor* RepositoryModelLoad(Context* context, const grpc::ByteBuffer* bytes,
                               grpc::ByteBuffer* answer) override;
  Reactor* RepositoryModelUnload(Context* context, const grpc::ByteBuffer* bytes,
                                 grpc::ByteBuffer* answer) override;

  // Not supported: UNIMPLEMENTED with a sentence.
  Reactor* SystemSharedMemoryStatus(Context* context, const grpc::ByteBuffer* bytes,
                                    grpc::ByteBuffer* answer) override;
  Reactor* SystemSharedMemoryRegister(Context* context, const grpc::ByteBuffer* bytes,
                                      grpc::ByteBuffer* answer) override;
  Reactor* SystemSharedMemoryUnregister(Context* context, const grpc::ByteBuffer* bytes,
                                        grpc::ByteBuffer* answer) override;
  Reactor* CudaSharedMemoryStatus(Context* context, const grpc::ByteBuffer* bytes,
                                  grpc::ByteBuffer* answer) override;
  Reactor* CudaSharedMemoryRegister(Context* context, const grpc::ByteBuffer* bytes,
                                    grpc::ByteBuffer* answer) override;
  Reactor* CudaSharedMemoryUnregister(Context* context, const grpc::ByteBuffer* bytes,
                                      grpc::ByteBuffer* answer) override;
  Reactor* TraceSetting(Context* context, const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) override;
  Reactor* LogSettings(Context* context, const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) override;

 private:
  const KserveBackends backends_;
  kserve::Inference inference_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_SERVICE_H_
