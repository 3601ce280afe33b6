#ifndef CALSERVE_SERVER_RPC_METHODS_H_
#define CALSERVE_SERVER_RPC_METHODS_H_

#include "server/access/roles.h"
#include "server/telemetry/outcome_counters.h"

// The methods that ask who calls, each with the roles of which one is enough. A handler's first line hands
// one to AccessGate::Authorize; that none forgets it, and that each names its own, is asserted for every
// method that reflection lists by tests/end_to_end/access_test.py. Open to all, by AccessGate::Open: what
// asks whether the server is alive and ready (ServerLive, ServerReady; grpc.health.v1 is gRPC's own).
namespace calserve {

struct RpcMethod {
  Rpc rpc;  // what it is counted as
  const char* name;
  Roles any_of;

  // Changes what is served: every call, also a refused one, goes into the audit log.
  bool audited() const { return any_of == Roles(Role::kAdmin); }
};

namespace method {

inline constexpr Roles kAnyRole = Roles::All();

inline constexpr RpcMethod kPredict{Rpc::kPredict, "calserve.v1.PredictionService/Predict", Role::kPredict};
inline constexpr RpcMethod kStreamPredict{Rpc::kStreamPredict, "calserve.v1.PredictionService/StreamPredict",
                                          Role::kPredict};

inline constexpr RpcMethod kSubmitFeedback{Rpc::kSubmitFeedback, "calserve.v1.FeedbackService/SubmitFeedback",
                                           Role::kFeedback};
inline constexpr RpcMethod kStreamFeedback{Rpc::kStreamFeedback, "calserve.v1.FeedbackService/StreamFeedback",
                                           Role::kFeedback};

inline constexpr RpcMethod kFitCalibrator{Rpc::kFitCalibrator, "calserve.v1.CalibrationService/FitCalibrator",
                                          Role::kAdmin};
inline constexpr RpcMethod kListCalibrators{Rpc::kListCalibrators,
                                            "calserve.v1.CalibrationService/ListCalibrators", Role::kRead};
inline constexpr RpcMethod kActivateCalibrator{
    Rpc::kActivateCalibrator, "calserve.v1.CalibrationService/ActivateCalibrator", Role::kAdmin};
inline constexpr RpcMethod kRollbackCalibrator{
    Rpc::kRollbackCalibrator, "calserve.v1.CalibrationService/RollbackCalibrator", Role::kAdmin};
inline constexpr RpcMethod kGetCalibrationReport{
    Rpc::kGetCalibrationReport, "calserve.v1.CalibrationService/GetCalibrationReport", Role::kRead};
inline constexpr RpcMethod kWatchCalibration{Rpc::kWatchCalibration,
                                             "calserve.v1.CalibrationService/WatchCalibration", Role::kRead};
inline constexpr RpcMethod kListAlarms{Rpc::kListAlarms, "calserve.v1.CalibrationService/ListAlarms",
                                       Role::kRead};
inline constexpr RpcMethod kListSlices{Rpc::kListSlices, "calserve.v1.CalibrationService/ListSlices",
                                       Role::kRead};
inline constexpr RpcMethod kGetRefitStatus{Rpc::kGetRefitStatus,
                                           "calserve.v1.CalibrationService/GetRefitStatus", Role::kRead};
inline constexpr RpcMethod kAcknowledgeAlarm{Rpc::kAcknowledgeAlarm,
                                             "calserve.v1.CalibrationService/AcknowledgeAlarm", Role::kAdmin};

// Whoever may do anything may know which models there are: clients ask before they predict.
inline constexpr RpcMethod kListModels{Rpc::kListModels, "calserve.v1.ModelService/ListModels", kAnyRole};
inline constexpr RpcMethod kGetModel{Rpc::kGetModel, "calserve.v1.ModelService/GetModel", kAnyRole};

inline constexpr RpcMethod kServerMetadata{Rpc::kServerMetadata,
                                           "inference.GRPCInferenceService/ServerMetadata", kAnyRole};
inline constexpr RpcMethod kModelReady{Rpc::kModelReady, "inference.GRPCInferenceService/ModelReady",
                                       kAnyRole};
inline constexpr RpcMethod kModelMetadata{Rpc::kModelMetadata, "inference.GRPCInferenceService/ModelMetadata",
                                          kAnyRole};
inline constexpr RpcMethod kModelConfig{Rpc::kModelConfig, "inference.GRPCInferenceService/ModelConfig",
                                        kAnyRole};
inline constexpr RpcMethod kModelInfer{Rpc::kModelInfer, "inference.GRPCInferenceService/ModelInfer",
                                       Role::kPredict};
inline constexpr RpcMethod kModelStreamInfer{
    Rpc::kModelStreamInfer, "inference.GRPCInferenceService/ModelStreamInfer", Role::kPredict};
inline constexpr RpcMethod kModelStatistics{Rpc::kModelStatistics,
                                            "inference.GRPCInferenceService/ModelStatistics", Role::kRead};
inline constexpr RpcMethod kRepositoryIndex{Rpc::kRepositoryIndex,
                                            "inference.GRPCInferenceService/RepositoryIndex", Role::kRead};
inline constexpr RpcMethod kRepositoryModelLoad{
    Rpc::kRepositoryModelLoad, "inference.GRPCInferenceService/RepositoryModelLoad", Role::kAdmin};
inline constexpr RpcMethod kRepositoryModelUnload{
    Rpc::kRepositoryModelUnload, "inference.GRPCInferenceService/RepositoryModelUnload", Role::kAdmin};
// Not supported.
inline constexpr RpcMethod kSystemSharedMemoryStatus{
    Rpc::kSystemSharedMemoryStatus, "inference.GRPCInferenceService/SystemSharedMemoryStatus", kAnyRole};
inline constexpr RpcMethod kSystemSharedMemoryRegister{
    Rpc::kSystemSharedMemoryRegister, "inference.GRPCInferenceService/SystemSharedMemoryRegister", kAnyRole};
inline constexpr RpcMethod kSystemSharedMemoryUnregister{
    Rpc::kSystemSharedMemoryUnregister, "inference.GRPCInferenceService/SystemSharedMemoryUnregister",
    kAnyRole};
inline constexpr RpcMethod kCudaSharedMemoryStatus{
    Rpc::kCudaSharedMemoryStatus, "inference.GRPCInferenceService/CudaSharedMemoryStatus", kAnyRole};
inline constexpr RpcMethod kCudaSharedMemoryRegister{
    Rpc::kCudaSharedMemoryRegister, "inference.GRPCInferenceService/CudaSharedMemoryRegister", kAnyRole};
inline constexpr RpcMethod kCudaSharedMemoryUnregister{
    Rpc::kCudaSharedMemoryUnregister, "inference.GRPCInferenceService/CudaSharedMemoryUnregister", kAnyRole};
inline constexpr RpcMethod kTraceSetting{Rpc::kTraceSetting, "inference.GRPCInferenceService/TraceSetting",
                                         kAnyRole};
inline constexpr RpcMethod kLogSettings{Rpc::kLogSettings, "inference.GRPCInferenceService/LogSettings",
                                        kAnyRole};

inline constexpr RpcMethod kGetLogLevel{Rpc::kGetLogLevel, "calserve.v1.ServerService/GetLogLevel",
                                        Role::kRead};
inline constexpr RpcMethod kSetLogLevel{Rpc::kSetLogLevel, "calserve.v1.ServerService/SetLogLevel",
                                        Role::kAdmin};

// Roles are not asked for.
inline constexpr RpcMethod kServerLive{Rpc::kServerLive, "inference.GRPCInferenceService/ServerLive",
                                       kAnyRole};
inline constexpr RpcMethod kServerReady{Rpc::kServerReady, "inference.GRPCInferenceService/ServerReady",
                                        kAnyRole};

}  // namespace method
}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_METHODS_H_
