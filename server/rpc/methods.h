#ifndef CALSERVE_SERVER_RPC_METHODS_H_
#define CALSERVE_SERVER_RPC_METHODS_H_

#include "server/access/roles.h"

// The methods that ask who calls, each with the roles of which one is enough. A handler's first line hands
// one to AccessGate::Authorize; that none forgets it, and that each names its own, is asserted for every
// method that reflection lists by tests/integration/access_test.cc. Not here, and open to all: what asks
// whether the server is alive and ready (grpc.health.v1, ServerLive, ServerReady).
namespace calserve {

struct RpcMethod {
  const char* name;
  Roles any_of;

  // Changes what is served: every call, also a refused one, goes into the audit log.
  bool audited() const { return any_of == Roles(Role::kAdmin); }
};

namespace method {

inline constexpr Roles kAnyRole = Roles::All();

inline constexpr RpcMethod kPredict{"calserve.v1.PredictionService/Predict", Role::kPredict};
inline constexpr RpcMethod kStreamPredict{"calserve.v1.PredictionService/StreamPredict", Role::kPredict};

inline constexpr RpcMethod kSubmitFeedback{"calserve.v1.FeedbackService/SubmitFeedback", Role::kFeedback};
inline constexpr RpcMethod kStreamFeedback{"calserve.v1.FeedbackService/StreamFeedback", Role::kFeedback};

inline constexpr RpcMethod kFitCalibrator{"calserve.v1.CalibrationService/FitCalibrator", Role::kAdmin};
inline constexpr RpcMethod kListCalibrators{"calserve.v1.CalibrationService/ListCalibrators", Role::kRead};
inline constexpr RpcMethod kActivateCalibrator{"calserve.v1.CalibrationService/ActivateCalibrator",
                                               Role::kAdmin};
inline constexpr RpcMethod kRollbackCalibrator{"calserve.v1.CalibrationService/RollbackCalibrator",
                                               Role::kAdmin};
inline constexpr RpcMethod kGetCalibrationReport{"calserve.v1.CalibrationService/GetCalibrationReport",
                                                 Role::kRead};
inline constexpr RpcMethod kWatchCalibration{"calserve.v1.CalibrationService/WatchCalibration", Role::kRead};
inline constexpr RpcMethod kListAlarms{"calserve.v1.CalibrationService/ListAlarms", Role::kRead};
inline constexpr RpcMethod kListSlices{"calserve.v1.CalibrationService/ListSlices", Role::kRead};
inline constexpr RpcMethod kGetRefitStatus{"calserve.v1.CalibrationService/GetRefitStatus", Role::kRead};
inline constexpr RpcMethod kAcknowledgeAlarm{"calserve.v1.CalibrationService/AcknowledgeAlarm", Role::kAdmin};

// Whoever may do anything may know which models there are: clients ask before they predict.
inline constexpr RpcMethod kListModels{"calserve.v1.ModelService/ListModels", kAnyRole};
inline constexpr RpcMethod kGetModel{"calserve.v1.ModelService/GetModel", kAnyRole};

inline constexpr RpcMethod kServerMetadata{"inference.GRPCInferenceService/ServerMetadata", kAnyRole};
inline constexpr RpcMethod kModelReady{"inference.GRPCInferenceService/ModelReady", kAnyRole};
inline constexpr RpcMethod kModelMetadata{"inference.GRPCInferenceService/ModelMetadata", kAnyRole};
inline constexpr RpcMethod kModelConfig{"inference.GRPCInferenceService/ModelConfig", kAnyRole};
inline constexpr RpcMethod kModelInfer{"inference.GRPCInferenceService/ModelInfer", Role::kPredict};
inline constexpr RpcMethod kModelStreamInfer{"inference.GRPCInferenceService/ModelStreamInfer",
                                             Role::kPredict};
inline constexpr RpcMethod kModelStatistics{"inference.GRPCInferenceService/ModelStatistics", Role::kRead};
inline constexpr RpcMethod kRepositoryIndex{"inference.GRPCInferenceService/RepositoryIndex", Role::kRead};
inline constexpr RpcMethod kRepositoryModelLoad{"inference.GRPCInferenceService/RepositoryModelLoad",
                                                Role::kAdmin};
inline constexpr RpcMethod kRepositoryModelUnload{"inference.GRPCInferenceService/RepositoryModelUnload",
                                                  Role::kAdmin};
// Shared memory, trace and log settings, which are not supported.
inline constexpr RpcMethod kKserveUnsupported{"inference.GRPCInferenceService/Unsupported", kAnyRole};

}  // namespace method
}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_METHODS_H_
