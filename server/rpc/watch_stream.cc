#include "server/rpc/watch_stream.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/rpc/calibration_checks.h"
#include "server/rpc/calibration_convert.h"
#include "server/rpc/report_mask.h"
#include "server/rpc/status.h"

namespace calserve {
namespace {

constexpr int64_t kFollowActive = -1;  // no calibrator version
constexpr size_t kLongestName = 512;   // of a model as it was asked for, in bytes

class WatchStream final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  WatchStream(const CalibrationBackends& backends, Admission admission, const grpc::ByteBuffer& request,
              WorkerPool& store_thread)
      : backends_(backends), admission_(std::move(admission)) {
    auto asked = std::make_unique<Asked>();
    const absl::Status read =
        admission_.ok() ? ParseMessage(request, asked->message, asked->held) : admission_.status();
    if (read.ok()) call_ = backends.calls.Begin([this] { End(CallTracker::ShuttingDown()); });
    asked_model_ = asked->message.model().substr(0, kLongestName);
    admission_.About(asked_model_);
    if (!read.ok()) {
      Start(read);
    } else if (call_ == nullptr) {
      Start(CallTracker::ShuttingDown());
    } else if (asked->message.calibrator_version() == 0) {
      Start(Subscribe(std::move(asked)));
    } else if (!store_thread.TrySubmit(
                   [this, asked = std::move(asked)]() mutable { Start(Subscribe(std::move(asked))); }, 1)) {
      Start(TooManyCalls());  // The store knows which calibrators exist.
    }
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
  struct Asked {
    v1::WatchCalibrationRequest message;
    ByteBudget::Share held;
  };

  // Lets go of what was asked: a watch lives for days.
  absl::Status Subscribe(std::unique_ptr<const Asked> asked) {
    const v1::WatchCalibrationRequest& request = asked->message;
    ASSIGN_OR_RETURN(const ReportMask mask, ReportMask::FromProto(request.report_mask()));
    ASSIGN_OR_RETURN(const Snapshot snapshot, backends_.table.Find(request.model(), request.model_version()));
    {
      MutexLock lock(&mu_);
      admission_.About(*snapshot.model);
    }
    // With no calibrator version asked for, the watch follows the active one.
    MonitorKey fixed{snapshot.model->name, snapshot.model->version,
                     request.has_calibrator_version() ? request.calibrator_version() : kFollowActive};
    ASSIGN_OR_RETURN(fixed.slice, SliceFromProto(request.has_slice(), request.slice()));
    RETURN_IF_ERROR(CheckSlice(backends_.monitor, fixed));
    if (request.has_calibrator_version()) RETURN_IF_ERROR(CheckCalibratorExists(backends_.registry, fixed));
    Subscription subscription;
    if (request.has_min_interval()) {
      subscription.min_interval =
          absl::Seconds(request.min_interval().seconds()) + absl::Nanoseconds(request.min_interval().nanos());
    }
    subscription.windows.assign(request.windows().begin(), request.windows().end());
    if (subscription.windows.empty()) subscription.windows.push_back("last_1000");
    subscription.key = [&table = backends_.table, fixed] {
      MonitorKey key = fixed;
      if (key.calibrator_version == kFollowActive) {
        const absl::StatusOr<Snapshot> now = table.Find(key.model, key.model_version);
        key.calibrator_version = now.ok() ? now->calibrator->version : 0;
      }
      return key;
    };
    subscription.active = [&table = backends_.table, fixed] {
      const absl::StatusOr<Snapshot> now = table.Find(fixed.model, fixed.model_version);
      return now.ok() ? now->calibrator->version : 0;
    };
    ASSIGN_OR_RETURN(std::unique_ptr<ReportHub::Subscriber> subscriber,
                     backends_.hub.Subscribe(std::move(subscription), [this] { Ready(); }));
    MutexLock lock(&mu_);
    mask_ = mask;
    subscriber_ = std::move(subscriber);
    return absl::OkStatus();
  }

  // With what Subscribe said, or why it was not asked.
  void Start(absl::Status status) {
    MutexLock lock(&mu_);
    started_ = true;
    if (!status.ok()) EndWith(std::move(status));
    WriteIfDue();
  }

  // From the hub's thread, maybe before Subscribe has returned.
  void Ready() {
    MutexLock lock(&mu_);
    ready_ = true;
    WriteIfDue();
  }

  void End(absl::Status status) {
    MutexLock lock(&mu_);
    EndWith(std::move(status));
    WriteIfDue();
  }

  // The first status counts.
  void EndWith(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!ended_) status_ = std::move(status);
    ended_ = true;
  }

  void WriteIfDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!started_ || writing_ || finished_) return;
    if (!ended_ && ready_ && subscriber_ != nullptr) {
      ready_ = false;
      const absl::Status written = SerializeMessage(Reports(), response_);
      writing_ = written.ok();
      if (writing_) return StartWrite(&response_);
      EndWith(written);
    }
    if (!ended_) return;
    finished_ = true;
    if (call_ == nullptr) {
      admission_.Refuse(status_);
    } else {
      admission_.End(status_);
    }
    Finish(ToGrpcStatus(status_));
  }

  v1::WatchCalibrationResponse Reports() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    v1::WatchCalibrationResponse response;
    for (WindowReport& report : subscriber_->Take()) {
      mask_.AddIntervals(report);
      v1::WindowReport& out = *response.add_reports();
      out = ToProto(report, ServingOf(report.key, backends_.table));
      mask_.Trim(out);
    }
    return response;
  }

  const CalibrationBackends backends_;
  std::string asked_model_;
  Admission admission_;  // Once it is open, under mu_.
  std::unique_ptr<CallTracker::Call> call_;
  std::unique_ptr<ReportHub::Subscriber> subscriber_;  // Set once, under mu_.
  Mutex mu_;
  ReportMask mask_ ABSL_GUARDED_BY(mu_);
  grpc::ByteBuffer response_ ABSL_GUARDED_BY(mu_);
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  bool started_ ABSL_GUARDED_BY(mu_) = false;  // The call is not finished while it may be subscribing.
  bool ready_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

grpc::ServerWriteReactor<grpc::ByteBuffer>* NewWatchStream(const CalibrationBackends& backends,
                                                           Admission admission,
                                                           const grpc::ByteBuffer& request,
                                                           WorkerPool& store_thread) {
  return new WatchStream(backends, std::move(admission), request, store_thread);
}

}  // namespace calserve
