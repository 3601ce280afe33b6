#ifndef CALSERVE_SERVER_TELEMETRY_OUTCOME_COUNTERS_H_
#define CALSERVE_SERVER_TELEMETRY_OUTCOME_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace calserve {

// What is counted: the requests for predictions, each message of a stream for itself, and every other call.
// kFitExamples is no call: uploaded examples of a fit on their way through the model.
enum class Rpc {
  kPredict,
  kStreamPredict,
  kModelInfer,
  kModelStreamInfer,
  kFitExamples,
  kFitCalibrator,
  kSubmitFeedback,
  kStreamFeedback,
  kListCalibrators,
  kActivateCalibrator,
  kRollbackCalibrator,
  kGetCalibrationReport,
  kWatchCalibration,
  kListAlarms,
  kListSlices,
  kGetRefitStatus,
  kAcknowledgeAlarm,
  kListModels,
  kGetModel,
  kGetLogLevel,
  kSetLogLevel,
  kServerLive,
  kServerReady,
  kServerMetadata,
  kModelReady,
  kModelMetadata,
  kModelConfig,
  kModelStatistics,
  kRepositoryIndex,
  kRepositoryModelLoad,
  kRepositoryModelUnload,
  kSystemSharedMemoryStatus,
  kSystemSharedMemoryRegister,
  kSystemSharedMemoryUnregister,
  kCudaSharedMemoryStatus,
  kCudaSharedMemoryRegister,
  kCudaSharedMemoryUnregister,
  kTraceSetting,
  kLogSettings,
};

inline constexpr std::array<absl::string_view, 39> kRpcNames = {
    "Predict",
    "StreamPredict",
    "ModelInfer",
    "ModelStreamInfer",
    "FitExamples",
    "FitCalibrator",
    "SubmitFeedback",
    "StreamFeedback",
    "ListCalibrators",
    "ActivateCalibrator",
    "RollbackCalibrator",
    "GetCalibrationReport",
    "WatchCalibration",
    "ListAlarms",
    "ListSlices",
    "GetRefitStatus",
    "AcknowledgeAlarm",
    "ListModels",
    "GetModel",
    "GetLogLevel",
    "SetLogLevel",
    "ServerLive",
    "ServerReady",
    "ServerMetadata",
    "ModelReady",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
    "SystemSharedMemoryStatus",
    "SystemSharedMemoryRegister",
    "SystemSharedMemoryUnregister",
    "CudaSharedMemoryStatus",
    "CudaSharedMemoryRegister",
    "CudaSharedMemoryUnregister",
    "TraceSetting",
    "LogSettings",
};
// The first ones ask for predictions.
constexpr bool AsksForPredictions(Rpc rpc) { return rpc <= Rpc::kFitExamples; }
inline constexpr size_t kStatusCodes = 17;  // kOk to kUnauthenticated

// How often a call ended with which code. Counting is one addition without a lock. Thread-safe.
class OutcomeCounters {
 public:
  void Count(Rpc rpc, absl::StatusCode code) { Cell(rpc, code).fetch_add(1, std::memory_order_relaxed); }
  int64_t count(Rpc rpc, absl::StatusCode code) const {
    return Cell(rpc, code).load(std::memory_order_relaxed);
  }

 private:
  using Cells = std::array<std::array<std::atomic<int64_t>, kStatusCodes>, kRpcNames.size()>;

  std::atomic<int64_t>& Cell(Rpc rpc, absl::StatusCode code) {
    return cells_[static_cast<size_t>(rpc)][static_cast<size_t>(code) % kStatusCodes];
  }
  const std::atomic<int64_t>& Cell(Rpc rpc, absl::StatusCode code) const {
    return cells_[static_cast<size_t>(rpc)][static_cast<size_t>(code) % kStatusCodes];
  }

  Cells cells_{};
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_TELEMETRY_OUTCOME_COUNTERS_H_
