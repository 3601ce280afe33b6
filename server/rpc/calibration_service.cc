#include "server/rpc/calibration_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration_io/alarm_proto.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/logging/log.h"
#include "server/rpc/calibration_checks.h"
#include "server/rpc/calibration_convert.h"
#include "server/rpc/fit_stream.h"
#include "server/rpc/message_call.h"
#include "server/rpc/page.h"
#include "server/rpc/refit_convert.h"
#include "server/rpc/report_mask.h"
#include "server/rpc/watch_stream.h"

namespace calserve {
namespace {

constexpr int64_t kDefaultReportRows = 100'000;
constexpr int64_t kComparedRows = 10'000;  // of an activation's comparison: some 50 ms

MonitorKey KeyOf(const Snapshot& snapshot) {
  return {snapshot.model->name, snapshot.model->version, snapshot.calibrator->version};
}

CalibrationTarget TargetOf(const Snapshot& snapshot) {
  const ServedModel& model = *snapshot.model;
  return {model.name, model.version, model.classes(), model.digest};
}

// Of what is active.
v1::ModelAlarm ModelAlarmOf(const MonitorKey& key, const AlarmStatus& alarm) {
  v1::ModelAlarm out;
  out.set_model(key.model);
  out.set_model_version(key.model_version);
  out.set_calibrator_version(key.calibrator_version);
  if (!key.slice.whole()) *out.mutable_slice() = ToProto(key.slice);
  *out.mutable_alarm() = AlarmToProto(alarm, /*active=*/true);
  return out;
}

// The slices of a key that have labels, or a raised alarm, in the order of their numbers.
std::vector<MonitorKey> SlicesOf(const CalibrationMonitor& monitor, const MonitorKey& whole) {
  std::vector<MonitorKey> keys;
  for (Slice& slice : monitor.Slices(whole.model).slices()) {
    MonitorKey key = whole;
    key.slice = std::move(slice);
    if (monitor.Revision(key).label_position > 0 || monitor.Alarm(key).raised.has_value())
      keys.push_back(std::move(key));
  }
  return keys;
}

// What the audit log is to say of a call.
void Note(const Snapshot& snapshot, Admission& admission) {
  admission.About(*snapshot.model);
  admission.Note("model", snapshot.model->name);
  admission.Note("model_version", absl::StrCat(snapshot.model->version));
}
void NoteBefore(const Snapshot& snapshot, CalibratorRegistry& registry, Admission& admission) {
  Note(snapshot, admission);
  admission.Note("before",
                 absl::StrCat(registry.Active(snapshot.model->name, snapshot.model->version).version));
}

// Reads a request that names a model. False: the call is answered already.
template <typename Request, typename Response>
bool Read(MessageCall<Request, Response>& call, const grpc::ByteBuffer* bytes) {
  if (!call.Read(bytes)) return false;
  call.admission().About(call.request().model());
  return true;
}

// Answers a call from the pool's thread with what `work` returns and makes of the response, unless the client
// has gone by then; RESOURCE_EXHAUSTED where too many wait. `work` is given what it is to ask now and then
// where it takes long: false once the client has gone or a drain has run out of time. What it notes in the
// admission is for the audit log.
template <typename Request, typename Response, typename Work>
grpc::ServerUnaryReactor* RunOn(WorkerPool& pool, MessageCall<Request, Response>* call, Work work) {
  auto answer = [call, work = std::move(work)] {
    const std::function<bool()> go_on = [cancel = call->cancel()] { return !cancel->cancelled(); };
    absl::Status status = absl::CancelledError("cancelled by the client");
    if (go_on()) {
      const RequestScope scope(call->admission().ids());  // Ends before Reply, which may end the call.
      status = work(call->request(), call->response(), call->admission(), go_on);
    }
    call->Reply(status);
  };
  if (!pool.TrySubmit(std::move(answer), 1)) call->Reply(TooManyCalls());
  return call;
}

// Reads a call and answers it so.
template <typename Request, typename Response, typename Work>
grpc::ServerUnaryReactor* ReadAndRunOn(WorkerPool& pool, MessageCall<Request, Response>* call,
                                       const grpc::ByteBuffer* bytes, Work work) {
  return Read(*call, bytes) ? RunOn(pool, call, std::move(work)) : call;
}

}  // namespace

CalibrationService::CalibrationService(CalibrationBackends backends)
    : backends_(std::move(backends)),
      calibrator_thread_(1, kMaxWaitingCalls, kMaxWaitingCalls),
      report_thread_(1, kMaxWaitingCalls, kMaxWaitingCalls) {}

ByteStream* CalibrationService::FitCalibrator(grpc::CallbackServerContext* context) {
  return NewFitStream(backends_, backends_.gate.Authorize(*context, method::kFitCalibrator), *context);
}

grpc::ServerUnaryReactor* CalibrationService::ListCalibrators(grpc::CallbackServerContext* context,
                                                              const grpc::ByteBuffer* bytes,
                                                              grpc::ByteBuffer* answer) {
  using Call = MessageCall<v1::ListCalibratorsRequest, v1::ListCalibratorsResponse>;
  auto* call =
      new Call(backends_.calls, backends_.gate.Authorize(*context, method::kListCalibrators), answer);
  return ReadAndRunOn(
      calibrator_thread_, call, bytes,
      [this](const auto& request, auto& response, Admission& admission, const GoOn&) -> absl::Status {
        ASSIGN_OR_RETURN(const Snapshot snapshot,
                         backends_.table.Find(request.model(), request.model_version()));
        admission.About(*snapshot.model);
        ASSIGN_OR_RETURN(std::vector<CalibratorVersion> all, backends_.registry.List(request.model()));
        if (request.model_version() != 0) {
          std::erase_if(
              all, [&](const CalibratorVersion& c) { return c.model_version != request.model_version(); });
        }
        ASSIGN_OR_RETURN(Page page, PageOf(all.size(), request.page_size(), request.page_token()));
        FillPage<v1::Calibrator>(
            page, [&](size_t item) { return ToProto(all[item]); }, *response.mutable_calibrators());
        response.set_next_page_token(page.next_token);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* CalibrationService::ActivateCalibrator(grpc::CallbackServerContext* context,
                                                                 const grpc::ByteBuffer* bytes,
                                                                 grpc::ByteBuffer* answer) {
  using Call = MessageCall<v1::ActivateCalibratorRequest, v1::ActivateCalibratorResponse>;
  auto* call =
      new Call(backends_.calls, backends_.gate.Authorize(*context, method::kActivateCalibrator), answer);
  const auto work = [this](const auto& request, auto& response, Admission& admission,
                           const GoOn& go_on) -> absl::Status {
    ASSIGN_OR_RETURN(const Snapshot snapshot, backends_.table.Find(request.model(), request.model_version()));
    NoteBefore(snapshot, backends_.registry, admission);
    const int64_t before = request.expected_active_version();
    ASSIGN_OR_RETURN(const CalibratorVersion active,
                     backends_.registry.Activate(snapshot.model->name, snapshot.model->version,
                                                 request.version(), before));
    admission.Note("after", absl::StrCat(active.version));
    backends_.hub.ActiveChanged();
    *response.mutable_calibrator() = ToProto(active);
    const auto comparison = CompareWith(before, active, snapshot, go_on);
    if (comparison.has_value()) *response.mutable_comparison() = *comparison;
    return absl::OkStatus();
  };
  return ReadAndRunOn(calibrator_thread_, call, bytes, work);
}

grpc::ServerUnaryReactor* CalibrationService::RollbackCalibrator(grpc::CallbackServerContext* context,
                                                                 const grpc::ByteBuffer* bytes,
                                                                 grpc::ByteBuffer* answer) {
  using Call = MessageCall<v1::RollbackCalibratorRequest, v1::RollbackCalibratorResponse>;
  auto* call =
      new Call(backends_.calls, backends_.gate.Authorize(*context, method::kRollbackCalibrator), answer);
  const auto work = [this](const auto& request, auto& response, Admission& admission,
                           const GoOn& go_on) -> absl::Status {
    ASSIGN_OR_RETURN(const Snapshot snapshot, backends_.table.Find(request.model(), request.model_version()));
    NoteBefore(snapshot, backends_.registry, admission);
    const int64_t before = request.expected_active_version();
    ASSIGN_OR_RETURN(const CalibratorVersion active,
                     backends_.registry.Rollback(snapshot.model->name, snapshot.model->version, before));
    admission.Note("after", absl::StrCat(active.version));
    backends_.hub.ActiveChanged();
    *response.mutable_calibrator() = ToProto(active);
    const auto comparison = CompareWith(before, active, snapshot, go_on);
    if (comparison.has_value()) *response.mutable_comparison() = *comparison;
    return absl::OkStatus();
  };
  return ReadAndRunOn(calibrator_thread_, call, bytes, work);
}

grpc::ServerUnaryReactor* CalibrationService::GetCalibrationReport(grpc::CallbackServerContext* context,
                                                                   const grpc::ByteBuffer* bytes,
                                                                   grpc::ByteBuffer* answer) {
  using Call = MessageCall<v1::GetCalibrationReportRequest, v1::GetCalibrationReportResponse>;
  auto* call =
      new Call(backends_.calls, backends_.gate.Authorize(*context, method::kGetCalibrationReport), answer);
  if (!Read(*call, bytes)) return call;
  WorkerPool& pool = call->request().has_stored() ? report_thread_ : calibrator_thread_;
  return RunOn(
      pool, call,
      [this](const auto& request, auto& response, Admission& admission, const GoOn& go_on) -> absl::Status {
        return Report(request, admission, go_on, response);
      });
}

absl::Status CalibrationService::Report(const v1::GetCalibrationReportRequest& request, Admission& admission,
                                        const GoOn& go_on, v1::GetCalibrationReportResponse& response) {
  ASSIGN_OR_RETURN(const Snapshot snapshot, backends_.table.Find(request.model(), request.model_version()));
  admission.About(*snapshot.model);
  if (request.detailed() && !request.has_stored()) {
    return WithField(
        absl::InvalidArgumentError("detailed metrics need the rows: select stored labels, not a window"),
        "detailed");
  }
  ASSIGN_OR_RETURN(const ReportMask mask, ReportMask::FromProto(request.report_mask()));
  MonitorKey key = {
      snapshot.model->name, snapshot.model->version,
      request.has_calibrator_version() ? request.calibrator_version() : snapshot.calibrator->version};
  ASSIGN_OR_RETURN(key.slice, SliceFromProto(request.has_slice(), request.slice()));
  RETURN_IF_ERROR(CheckCalibratorExists(backends_.registry, key));
  RETURN_IF_ERROR(CheckSlice(backends_.monitor, key));
  WindowReport report;
  if (request.has_stored()) {
    ASSIGN_OR_RETURN(report, StoredReport(request, *snapshot.model, key, go_on));
  } else {
    const std::string window = request.window().empty() ? "last_1000" : request.window();
    ASSIGN_OR_RETURN(report, backends_.monitor.Report(key, window));
    if (mask.names_fields()) {
      mask.AddIntervals(report);
    } else {
      AddEceInterval(&report.served);
      AddEceInterval(&report.uncalibrated);
    }
  }
  *response.mutable_report() = ToProto(report, ServingOf(report.key, backends_.table));
  mask.Trim(*response.mutable_report());
  return absl::OkStatus();
}

absl::StatusOr<WindowReport> CalibrationService::StoredReport(const v1::GetCalibrationReportRequest& request,
                                                              const ServedModel& model, const MonitorKey& key,
                                                              const GoOn& go_on) {
  ASSIGN_OR_RETURN(LogSelection selection, SelectionFromProto(request.stored()));
  RETURN_IF_ERROR(CheckSelection(selection, model));
  selection.model = key.model;
  selection.model_version = key.model_version;
  if (!key.slice.whole()) {
    selection.attributes.push_back(backends_.monitor.Slices(key.model).RuleOf(key.slice));
  }
  const int64_t asked = request.stored().max_rows() > 0 ? request.stored().max_rows() : kDefaultReportRows;
  StoredMetricsOptions options;
  options.max_rows = std::min(asked, backends_.limits.fit_max_rows);
  options.detailed = request.detailed();
  options.go_on = go_on;
  WindowReport report;
  report.key = key;
  CalibratorVersion version;
  if (key.calibrator_version != 0) {
    ASSIGN_OR_RETURN(version, backends_.registry.Get(key.model, key.model_version, key.calibrator_version));
  }
  if (key.calibrator_version != 0 && version.state == CalibratorState::kFitted) {
    // It never served: what it would have shown on the labels after its fit.
    selection.after_position = version.fit_position;
    report.shadow_after = version.fit_position;
    ASSIGN_OR_RETURN(options.shadow,
                     backends_.registry.Find(key.model, key.model_version, key.calibrator_version));
  } else {
    selection.calibrator_version = key.calibrator_version;
  }
  ASSIGN_OR_RETURN(const CalibratorRegistry::StoredReport stored,
                   backends_.registry.ReportStored(selection, std::move(options)));
  report.position = stored.position;
  report.time = stored.time;
  report.served = stored.served;
  report.uncalibrated = stored.uncalibrated;
  report.served_details = stored.served_details;
  report.uncalibrated_details = stored.uncalibrated_details;
  report.set_coverage = stored.set_coverage;
  report.weighted = stored.weighted;
  return report;
}

std::optional<v1::PairedComparison> CalibrationService::CompareWith(int64_t before,
                                                                    const CalibratorVersion& active,
                                                                    const Snapshot& snapshot,
                                                                    const GoOn& go_on) {
  if (before == active.version) return std::nullopt;
  const absl::StatusOr<PairedResult> result =
      backends_.registry.Compare(TargetOf(snapshot), before, active.version, kComparedRows, go_on);
  if (!result.ok()) {
    LogWarning("calibrators not compared", {{"model", active.model},
                                            {"version", active.model_version},
                                            {"before", before},
                                            {"after", active.version},
                                            {"error", result.status().message()}});
    return std::nullopt;
  }
  return ToProto(*result, before, active.version);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* CalibrationService::WatchCalibration(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes) {
  return NewWatchStream(backends_, backends_.gate.Authorize(*context, method::kWatchCalibration), *bytes,
                        calibrator_thread_);
}

grpc::ServerUnaryReactor* CalibrationService::ListAlarms(grpc::CallbackServerContext* context,
                                                         const grpc::ByteBuffer* bytes,
                                                         grpc::ByteBuffer* answer) {
  using Call = MessageCall<v1::ListAlarmsRequest, v1::ListAlarmsResponse>;
  auto* call = new Call(backends_.calls, backends_.gate.Authorize(*context, method::kListAlarms), answer);
  return ReadAndRunOn(calibrator_thread_, call, bytes,
                      [this](const auto& request, auto& response, Admission&, const GoOn&) -> absl::Status {
                        if (!request.model().empty())
                          RETURN_IF_ERROR(backends_.table.Find(request.model(), 0).status());
                        for (const Snapshot& snapshot : backends_.table.List()) {
                          if (!request.model().empty() && snapshot.model->name != request.model()) continue;
                          const MonitorKey key = KeyOf(snapshot);
                          *response.add_alarms() = ModelAlarmOf(key, backends_.monitor.Alarm(key));
                          for (const MonitorKey& slice : SlicesOf(backends_.monitor, key)) {
                            *response.add_alarms() = ModelAlarmOf(slice, backends_.monitor.Alarm(slice));
                          }
                        }
                        response.set_catching_up(backends_.monitor.state().catching_up);
                        return absl::OkStatus();
                      });
}

grpc::ServerUnaryReactor* CalibrationService::ListSlices(grpc::CallbackServerContext* context,
                                                         const grpc::ByteBuffer* bytes,
                                                         grpc::ByteBuffer* answer) {
  using Call = MessageCall<v1::ListSlicesRequest, v1::ListSlicesResponse>;
  auto* call = new Call(backends_.calls, backends_.gate.Authorize(*context, method::kListSlices), answer);
  return ReadAndRunOn(
      report_thread_, call, bytes,
      [this](const auto& request, auto& response, Admission& admission, const GoOn&) -> absl::Status {
        ASSIGN_OR_RETURN(const Snapshot snapshot,
                         backends_.table.Find(request.model(), request.model_version()));
        admission.About(*snapshot.model);
        MonitorKey whole = KeyOf(snapshot);
        if (request.has_calibrator_version()) whole.calibrator_version = request.calibrator_version();
        RETURN_IF_ERROR(CheckCalibratorExists(backends_.registry, whole));
        const std::string window = request.window().empty() ? "last_1000" : request.window();
        RETURN_IF_ERROR(backends_.monitor.Report(whole, window).status());  // There is such a window.
        for (const SliceKey& key : backends_.monitor.Slices(whole.model).declared()) {
          v1::SliceKey& to = *response.add_keys();
          to.set_key(key.key);
          to.mutable_values()->Add(key.values.begin(), key.values.end());
        }
        const Serving serving = ServingOf(whole, backends_.table);
        for (const MonitorKey& slice : SlicesOf(backends_.monitor, whole)) {
          ASSIGN_OR_RETURN(const WindowReport report, backends_.monitor.Report(slice, window));
          *response.add_reports() = ToProto(report, serving);
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* CalibrationService::AcknowledgeAlarm(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer* bytes,
                                                               grpc::ByteBuffer* answer) {
  using Call = MessageCall<v1::AcknowledgeAlarmRequest, v1::AcknowledgeAlarmResponse>;
  auto* call =
      new Call(backends_.calls, backends_.gate.Authorize(*context, method::kAcknowledgeAlarm), answer);
  return ReadAndRunOn(
      calibrator_thread_, call, bytes,
      [this](const auto& request, auto& response, Admission& admission, const GoOn&) -> absl::Status {
        ASSIGN_OR_RETURN(const Snapshot snapshot,
                         backends_.table.Find(request.model(), request.model_version()));
        MonitorKey key = KeyOf(snapshot);
        ASSIGN_OR_RETURN(key.slice, SliceFromProto(request.has_slice(), request.slice()));
        RETURN_IF_ERROR(CheckSlice(backends_.monitor, key));
        Note(snapshot, admission);
        admission.Note("calibrator", absl::StrCat(key.calibrator_version));
        if (request.calibrator_version() != key.calibrator_version) {
          return absl::AbortedError(absl::StrCat("calibrator version ", key.calibrator_version,
                                                 " is active for model ", key.model, " version ",
                                                 key.model_version, ", not ", request.calibrator_version()));
        }
        ASSIGN_OR_RETURN(const AlarmStatus alarm, backends_.monitor.AcknowledgeAlarm(key));
        *response.mutable_alarm() = ModelAlarmOf(key, alarm);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* CalibrationService::GetRefitStatus(grpc::CallbackServerContext* context,
                                                             const grpc::ByteBuffer* bytes,
                                                             grpc::ByteBuffer* answer) {
  using Call = MessageCall<v1::GetRefitStatusRequest, v1::GetRefitStatusResponse>;
  auto* call = new Call(backends_.calls, backends_.gate.Authorize(*context, method::kGetRefitStatus), answer);
  return ReadAndRunOn(
      calibrator_thread_, call, bytes,
      [this](const auto& request, auto& response, Admission& admission, const GoOn&) -> absl::Status {
        if (backends_.refits == nullptr)
          return absl::UnimplementedError("this server refits nothing by itself");
        ASSIGN_OR_RETURN(const Snapshot snapshot,
                         backends_.table.Find(request.model(), request.model_version()));
        admission.About(*snapshot.model);
        const CalibrationTarget target = TargetOf(snapshot);
        ASSIGN_OR_RETURN(const RefitStatus status, backends_.refits->Status(target));
        response = ToProto(target, status);
        return absl::OkStatus();
      });
}

}  // namespace calserve
