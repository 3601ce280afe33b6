#include "server/rpc/fit_stream.h"

#include <grpcpp/alarm.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/rpc/calibration_checks.h"
#include "server/rpc/calibration_convert.h"
#include "server/rpc/labelled_set.h"
#include "server/rpc/status.h"

namespace calserve {
namespace {

// gRPC's threads take the events of a call in their order, so that the end of a broken call comes well
// before.
constexpr absl::Duration kSettle = absl::Milliseconds(10);

class FitStream final : public ByteStream {
 public:
  FitStream(const CalibrationBackends& backends, Admission admission,
            const grpc::CallbackServerContext& context)
      : context_(context),
        backends_(backends),
        cancel_(std::make_shared<CancelFlag>()),
        admission_(std::move(admission)) {
    if (admission_.ok()) call_ = backends.calls.Begin([this] { EndUnlessFitting(); });
    MutexLock lock(&mu_);
    started_ = true;
    if (call_ == nullptr) EndWith(admission_.ok() ? CallTracker::ShuttingDown() : admission_.status());
    ReadOn();
  }

  void OnReadDone(bool ok) override {
    if (cancel_->cancelled() || context_.IsCancelled())
      return End(absl::CancelledError("cancelled by the client"));
    if (!ok) return target_.has_value() ? OnEndOfUpload() : OnSpecification(false);
    held_ = ByteBudget::Share();
    if (absl::Status read = ParseMessage(incoming_, request_, held_); !read.ok()) return End(std::move(read));
    if (!target_.has_value()) return OnSpecification(true);
    if (!request_.has_examples()) {
      return End(absl::InvalidArgumentError("after the specification only examples may follow"));
    }
    if (!Start(Work::kAdding)) return;
    set_->Add(std::move(*request_.mutable_examples()), cancel_,
              [this](absl::Status status) { Added(std::move(status)); });
  }

  void OnWriteDone(bool) override {
    MutexLock lock(&mu_);
    writing_ = false;
    WriteIfDue();
  }

  void OnCancel() override { cancel_->Cancel(); }  // The next step of reading or fitting ends the call.

  void OnDone() override {
    call_.reset();  // No EndUnlessFitting from here on.
    { MutexLock lock(&mu_); }
    delete this;
  }

 private:
  // What goes on elsewhere and comes back to this object: the call is not finished meanwhile.
  enum class Work { kNone, kAdding, kFitting };

  // From the tracker when a drain begins. The client can send its set to another server; a fit that runs is
  // worth waiting for.
  void EndUnlessFitting() {
    MutexLock lock(&mu_);
    if (work_ == Work::kFitting) return;
    cancel_->Cancel();
    EndWith(CallTracker::ShuttingDown());
  }

  // False where the call has ended.
  bool Start(Work work) {
    MutexLock lock(&mu_);
    if (ended_.has_value()) return false;
    work_ = work;
    return true;
  }

  void Added(absl::Status status) {
    MutexLock lock(&mu_);
    work_ = Work::kNone;
    if (!status.ok()) return EndWith(std::move(status));
    ReadOn();
  }

  void Fitted(const absl::StatusOr<CalibratorVersion>& calibrator) {
    if (calibrator.ok()) backends_.monitor.Notify();  // It is a shadow from now on.
    MutexLock lock(&mu_);
    work_ = Work::kNone;
    if (calibrator.ok()) {
      admission_.Note("after", absl::StrCat(calibrator->version));
      *pending_.emplace().mutable_calibrator() = ToProto(*calibrator);
    }
    EndWith(calibrator.status());
  }

  void OnSpecification(bool ok) {
    if (!ok || !request_.has_specification()) {
      return End(absl::InvalidArgumentError("the first request must be the specification"));
    }
    absl::Status status = Begin(request_.specification());
    if (!status.ok()) End(std::move(status));
  }

  absl::Status Begin(const v1::FitSpecification& specification) {
    ASSIGN_OR_RETURN(Snapshot snapshot,
                     backends_.table.Find(specification.model(), specification.model_version()));
    ASSIGN_OR_RETURN(method_, FitMethodFromProto(specification.method()));
    ASSIGN_OR_RETURN(options_, FitOptionsFromProto(specification));
    target_ = CalibrationTarget{snapshot.model->name, snapshot.model->version, snapshot.model->classes(),
                                snapshot.model->digest};
    {
      MutexLock lock(&mu_);  // A drain may end the call meanwhile.
      admission_.About(*snapshot.model);
      admission_.Note("model", target_->model);
      admission_.Note("model_version", absl::StrCat(target_->model_version));
    }
    if (specification.has_uploaded()) {
      set_ = std::make_unique<LabelledSet>(backends_.predictor, std::move(snapshot), backends_.limits,
                                           backends_.labelled_sets);
      MutexLock lock(&mu_);
      ReadOn();
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(LogSelection selection, SelectionFromProto(specification.stored()));
    RETURN_IF_ERROR(CheckSelection(selection, *snapshot.model));
    const int64_t max_rows = specification.stored().max_rows();
    if (!Start(Work::kFitting)) return absl::OkStatus();
    backends_.registry.FitStored(*target_, method_, options_, std::move(selection),
                                 max_rows == 0 ? backends_.limits.fit_max_rows : max_rows, progress(),
                                 done());
    return absl::OkStatus();
  }

  // The client has closed its side, or a message could not be received: then gRPC cancels the call, but says
  // so after this.
  void OnEndOfUpload() {
    if (set_ == nullptr) return;  // The client closed its side after selecting stored labels.
    if (!Start(Work::kAdding)) return;
    settled_.Set(absl::ToChronoTime(absl::Now() + kSettle), [this](bool) {
      const bool whole = !cancel_->cancelled() && !context_.IsCancelled();
      {
        MutexLock lock(&mu_);
        work_ = Work::kNone;
        if (!whole || ended_.has_value()) return EndWith(absl::CancelledError("the upload was not whole"));
        work_ = Work::kFitting;
      }
      LabelledSet::Taken uploaded = std::move(*set_).Take();
      set_.reset();  // It holds the model version.
      uploaded_ = std::move(uploaded.memory);
      request_ = {};
      held_ = {};
      backends_.registry.FitUploaded(*target_, method_, options_, std::move(uploaded.logits), progress(),
                                     done());
    });
  }

  CalibratorRegistry::Progress progress() {
    return [this](const std::string& stage, double fraction, int64_t rows) {
      MutexLock lock(&mu_);
      v1::FitProgress& progress = *pending_.emplace().mutable_progress();
      progress.set_stage(stage);
      progress.set_fraction(fraction);
      progress.set_rows(rows);
      WriteIfDue();
      return !cancel_->cancelled();
    };
  }

  CalibratorRegistry::FitDone done() {
    return [this](const absl::StatusOr<CalibratorVersion>& calibrator) { Fitted(calibrator); };
  }

  void End(absl::Status status) {
    MutexLock lock(&mu_);
    EndWith(std::move(status));
  }

  // The first status counts.
  void EndWith(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!ended_.has_value()) {
      if (!status.ok()) pending_.reset();
      ended_ = std::move(status);
    }
    WriteIfDue();
  }

  void ReadOn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (ended_.has_value()) return WriteIfDue();
    StartRead(&incoming_);
  }

  void WriteIfDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!started_ || writing_ || finished_) return;  // call_ is set before the start.
    if (pending_.has_value()) {
      const absl::Status written = SerializeMessage(*pending_, response_);
      pending_.reset();
      writing_ = written.ok();
      if (writing_) return StartWrite(&response_);
      if (!ended_.has_value() || ended_->ok()) ended_ = written;
    }
    if (ended_.has_value() && work_ == Work::kNone) {
      finished_ = true;
      if (call_ == nullptr) {
        admission_.Refuse(*ended_);
      } else {
        admission_.End(*ended_);
      }
      Finish(ToGrpcStatus(*ended_));
    }
  }

  const grpc::CallbackServerContext& context_;  // gRPC's; lives until OnDone.
  const CalibrationBackends backends_;
  const std::shared_ptr<CancelFlag> cancel_;
  Admission admission_;  // Its notes are made by what is one at a time.
  std::unique_ptr<CallTracker::Call> call_;
  // Touched by one step of reading at a time.
  grpc::ByteBuffer incoming_;
  v1::FitCalibratorRequest request_;
  ByteBudget::Share held_;  // of request_
  std::optional<CalibrationTarget> target_;
  CalibrationMethod method_ = CalibrationMethod::kTemperature;
  FitOptions options_;
  std::unique_ptr<LabelledSet> set_;
  ByteBudget::Share uploaded_;  // of what is fitted
  grpc::Alarm settled_;

  Mutex mu_;
  std::optional<v1::FitCalibratorResponse> pending_
      ABSL_GUARDED_BY(mu_);                                 // the newest; written when its turn comes
  grpc::ByteBuffer response_ ABSL_GUARDED_BY(mu_);          // being written
  std::optional<absl::Status> ended_ ABSL_GUARDED_BY(mu_);  // what to finish with, once all is written
  Work work_ ABSL_GUARDED_BY(mu_) = Work::kNone;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

ByteStream* NewFitStream(const CalibrationBackends& backends, Admission admission,
                         const grpc::CallbackServerContext& context) {
  return new FitStream(backends, std::move(admission), context);
}

}  // namespace calserve
