#ifndef CALSERVE_SERVER_RPC_CALIBRATION_SERVICE_H_
#define CALSERVE_SERVER_RPC_CALIBRATION_SERVICE_H_

#include <functional>
#include <optional>

#include "calserve/v1/calibration.grpc.pb.h"
#include "server/base/byte_budget.h"
#include "server/base/worker_pool.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/monitoring/report_hub.h"
#include "server/prediction/predictor.h"
#include "server/recalibration/calibrator_registry.h"
#include "server/recalibration/refit_controller.h"
#include "server/rpc/access_gate.h"
#include "server/rpc/call_tracker.h"
#include "server/rpc/wire_message.h"

namespace calserve {

// What the rpcs of calserve.v1.CalibrationService work on; all outlive the service.
struct CalibrationBackends {
  const AccessGate& gate;
  Predictor& predictor;
  const ServingTable& table;
  CalibratorRegistry& registry;
  CalibrationMonitor& monitor;
  ReportHub& hub;
  CallTracker& calls;
  RecalibrationOptions limits;
  ByteBudget& labelled_sets;          // what logits take that are uploaded or fitted
  RefitController* refits = nullptr;  // null: nothing is refitted by itself
};

using CalibrationMethods =
    ServiceWith<v1::CalibrationService::Service, v1::CalibrationService::WithRawCallbackMethod_FitCalibrator,
                v1::CalibrationService::WithRawCallbackMethod_ListCalibrators,
                v1::CalibrationService::WithRawCallbackMethod_ActivateCalibrator,
                v1::CalibrationService::WithRawCallbackMethod_RollbackCalibrator,
                v1::CalibrationService::WithRawCallbackMethod_GetCalibrationReport,
                v1::CalibrationService::WithRawCallbackMethod_WatchCalibration,
                v1::CalibrationService::WithRawCallbackMethod_ListAlarms,
                v1::CalibrationService::WithRawCallbackMethod_ListSlices,
                v1::CalibrationService::WithRawCallbackMethod_AcknowledgeAlarm,
                v1::CalibrationService::WithRawCallbackMethod_GetRefitStatus>::Type;

// calserve.v1.CalibrationService. What reads the store runs on two threads of the service's own: gRPC's never
// wait for the disk.
class CalibrationService final : public CalibrationMethods {
 public:
  explicit CalibrationService(CalibrationBackends backends);

  ByteStream* FitCalibrator(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ListCalibrators(grpc::CallbackServerContext* context,
                                            const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) override;
  grpc::ServerUnaryReactor* ActivateCalibrator(grpc::CallbackServerContext* context,
                                               const grpc::ByteBuffer* bytes,
                                               grpc::ByteBuffer* answer) override;
  grpc::ServerUnaryReactor* RollbackCalibrator(grpc::CallbackServerContext* context,
                                               const grpc::ByteBuffer* bytes,
                                               grpc::ByteBuffer* answer) override;
  grpc::ServerUnaryReactor* GetCalibrationReport(grpc::CallbackServerContext* context,
                                                 const grpc::ByteBuffer* bytes,
                                                 grpc::ByteBuffer* answer) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchCalibration(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer* bytes) override;
  grpc::ServerUnaryReactor* ListAlarms(grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes,
                                       grpc::ByteBuffer* answer) override;
  grpc::ServerUnaryReactor* ListSlices(grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes,
                                       grpc::ByteBuffer* answer) override;
  grpc::ServerUnaryReactor* AcknowledgeAlarm(grpc::CallbackServerContext* context,
                                             const grpc::ByteBuffer* bytes,
                                             grpc::ByteBuffer* answer) override;
  grpc::ServerUnaryReactor* GetRefitStatus(grpc::CallbackServerContext* context,
                                           const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) override;

 private:
  using GoOn = std::function<bool()>;
  absl::Status Report(const v1::GetCalibrationReportRequest& request, Admission& admission, const GoOn& go_on,
                      v1::GetCalibrationReportResponse& response);
  absl::StatusOr<WindowReport> StoredReport(const v1::GetCalibrationReportRequest& request,
                                            const ServedModel& model, const MonitorKey& key,
                                            const GoOn& go_on);
  // What was active before against what is now; unset where it cannot be told.
  std::optional<v1::PairedComparison> CompareWith(int64_t before, const CalibratorVersion& active,
                                                  const Snapshot& snapshot, const GoOn& go_on);

  const CalibrationBackends backends_;
  // Last: their work uses the members above. Reports on stored labels read many rows; neither a rollback nor
  // a report on a window waits behind them.
  WorkerPool calibrator_thread_;
  WorkerPool report_thread_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_CALIBRATION_SERVICE_H_
