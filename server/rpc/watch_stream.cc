#include "server/rpc/watch_stream.h"

#include <memory>
#include <utility>
#include <vector>

#include "server/base/mutex.h"
#include "server/rpc/calibration_convert.h"
#include "server/rpc/status.h"

namespace calserve {
namespace {

class WatchStream final : public grpc::ServerWriteReactor<v1::WatchCalibrationResponse> {
 public:
  WatchStream(const CalibrationBackends& backends, const v1::WatchCalibrationRequest& request)
      : table_(backends.table) {
    call_ = backends.calls.Begin([this] { End(CallTracker::ShuttingDown()); });
    if (absl::Status status = Subscribe(backends, request); !status.ok()) End(std::move(status));
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&mu_);
    writing_ = false;
    if (!ok) ended_ = true;
    WriteIfDue();
  }

  void OnCancel() override { End(absl::CancelledError("cancelled by the client")); }

  void OnDone() override {
    call_.reset();        // No End from the tracker from here on,
    subscriber_.reset();  // and no Ready.
    { MutexLock lock(&mu_); }
    delete this;
  }

 private:
  absl::Status Subscribe(const CalibrationBackends& backends, const v1::WatchCalibrationRequest& request) {
    if (call_ == nullptr) return CallTracker::ShuttingDown();
    absl::StatusOr<Snapshot> snapshot = backends.table.Find(request.model(), request.model_version());
    if (!snapshot.ok()) return snapshot.status();
    Subscription subscription;
    if (request.has_min_interval()) {
      subscription.min_interval =
          absl::Seconds(request.min_interval().seconds()) + absl::Nanoseconds(request.min_interval().nanos());
    }
    subscription.windows.assign(request.windows().begin(), request.windows().end());
    if (subscription.windows.empty()) subscription.windows.push_back("last_1000");
    // With no calibrator version asked for, the watch follows the active one.
    const MonitorKey fixed{snapshot->model->name, snapshot->model->version,
                           request.has_calibrator_version() ? request.calibrator_version() : -1};
    subscription.key = [&table = backends.table, fixed] {
      MonitorKey key = fixed;
      if (key.calibrator_version < 0) {
        const absl::StatusOr<Snapshot> now = table.Find(key.model, key.model_version);
        key.calibrator_version = now.ok() ? now->calibrator->version : 0;
      }
      return key;
    };
    absl::StatusOr<std::unique_ptr<ReportHub::Subscriber>> subscriber =
        backends.hub.Subscribe(std::move(subscription), [this] { Ready(); });
    if (!subscriber.ok()) return subscriber.status();
    MutexLock lock(&mu_);
    subscriber_ = *std::move(subscriber);
    WriteIfDue();
    return absl::OkStatus();
  }

  // From the hub's thread, maybe before Subscribe has returned.
  void Ready() {
    MutexLock lock(&mu_);
    ready_ = true;
    WriteIfDue();
  }

  void End(absl::Status status) {
    MutexLock lock(&mu_);
    if (!ended_) status_ = std::move(status);
    ended_ = true;
    WriteIfDue();
  }

  void WriteIfDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (writing_ || finished_) return;
    if (ended_) {
      finished_ = true;
      Finish(ToGrpcStatus(status_));
      return;
    }
    if (!ready_ || subscriber_ == nullptr) return;
    ready_ = false;
    response_.Clear();
    for (const WindowReport& report : subscriber_->Take()) {
      *response_.add_reports() = ToProto(report, ServingOf(report.key, table_));
    }
    writing_ = true;
    StartWrite(&response_);
  }

  const ServingTable& table_;
  std::unique_ptr<CallTracker::Call> call_;
  std::unique_ptr<ReportHub::Subscriber> subscriber_;  // Set once, under mu_.
  Mutex mu_;
  v1::WatchCalibrationResponse response_ ABSL_GUARDED_BY(mu_);
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  bool ready_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

grpc::ServerWriteReactor<v1::WatchCalibrationResponse>* NewWatchStream(
    const CalibrationBackends& backends, const v1::WatchCalibrationRequest& request) {
  return new WatchStream(backends, request);
}

}  // namespace calserve
