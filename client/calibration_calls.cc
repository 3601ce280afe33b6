// The two streaming calls of CalibrationService: watching, and fitting.

#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "calserve/v1/calibration.grpc.pb.h"
#include "client/client.h"
#include "client/connection.h"
#include "client/proto_convert.h"

namespace calserve::client {
namespace {

// One call to WatchCalibration.
struct WatchCall {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::WatchCalibrationResponse>> reader;
};

class GrpcWatch final : public CalibrationWatch {
 public:
  GrpcWatch(std::shared_ptr<Connection> connection, const WatchRequest& request)
      : connection_(std::move(connection)),
        channel_(connection_->watch_channel()),
        request_(ToProto(request)),
        stub_(channel_) {}

  ~GrpcWatch() override {
    Cancel();
    if (call_ != nullptr && call_->reader != nullptr) call_->reader->Finish();
  }

  absl::StatusOr<std::optional<std::vector<WindowReport>>> Next() override {
    while (Open()) {
      v1::WatchCalibrationResponse response;
      if (call_->reader->Read(&response)) {
        failures_ = 0;
        std::vector<WindowReport> reports;
        for (const v1::WindowReport& report : response.reports()) reports.push_back(FromProto(report));
        return std::make_optional(std::move(reports));
      }
      absl::Status status = connection_->ToStatus(call_->reader->Finish());
      if (!Close()) break;
      if (status.ok()) status = absl::UnavailableError("the server ended the watch");
      const std::optional<absl::Duration> delay =
          NextRetryDelay(connection_->options().retry, status, ++failures_, absl::Now(),
                         absl::InfiniteFuture(), RandomFraction());
      if (!delay.has_value()) {
        status = connection_->Explain(std::move(status));
        if (cancelled()) break;  // meanwhile
        return status;
      }
      WaitInSlices(
          *delay, [this] { return cancelled(); },
          [this](absl::Duration time) { Connection::WaitOn(*channel_, time); });
    }
    return std::optional<std::vector<WindowReport>>();
  }

  void Cancel() override {
    std::lock_guard lock(mu_);
    cancelled_ = true;
    if (call_ != nullptr) call_->context.TryCancel();
  }

 private:
  // Makes sure that there is a call; false after Cancel.
  bool Open() {
    {
      std::lock_guard lock(mu_);
      if (cancelled_) return false;
      if (call_ != nullptr) return true;
      call_ = std::make_unique<WatchCall>();
    }
    connection_->AddToken(&call_->context);
    call_->reader = stub_.WatchCalibration(&call_->context, request_);  // may wait for a connection
    return true;
  }

  // Forgets a call that has ended; false after Cancel.
  bool Close() {
    std::lock_guard lock(mu_);
    call_ = nullptr;
    return !cancelled_;
  }

  bool cancelled() {
    std::lock_guard lock(mu_);
    return cancelled_;
  }

  const std::shared_ptr<Connection> connection_;
  const std::shared_ptr<grpc::Channel> channel_;
  const v1::WatchCalibrationRequest request_;
  v1::CalibrationService::Stub stub_;
  int failures_ = 0;  // in a row; of the thread that calls Next

  std::mutex mu_;
  std::unique_ptr<WatchCall> call_;  // replaced under mu_, by the thread that calls Next
  bool cancelled_ = false;           // guarded by mu_
};

// Rows of an uploaded set in messages of at most about 1 MiB, one after another.
class UploadChunks {
 public:
  explicit UploadChunks(const FitRequest& request) : request_(request) {}

  // False after the last.
  bool Next(v1::FitCalibratorRequest* message) {
    message->Clear();
    v1::LabelledExamples& examples = *message->mutable_examples();
    for (size_t bytes = 0; row_ < rows() && bytes < kChunkBytes; ++row_) {
      v1::LabelledExample& example = *examples.add_examples();
      if (const auto* upload = std::get_if<UploadedLogits>(&request_.data)) {
        AddLogits(upload->logits, example.mutable_logits());
        example.set_class_index(upload->labels[row_]);
      } else {
        const auto& inputs = std::get<UploadedInputs>(request_.data);
        *example.mutable_input() = ToProto(inputs.inputs[row_]);
        example.set_class_index(inputs.labels[row_]);
      }
      bytes += example.ByteSizeLong();
    }
    return examples.examples_size() > 0;
  }

 private:
  static constexpr size_t kChunkBytes = 1 << 20;

  size_t rows() const {
    if (const auto* upload = std::get_if<UploadedLogits>(&request_.data)) return upload->labels.size();
    if (const auto* upload = std::get_if<UploadedInputs>(&request_.data)) return upload->labels.size();
    return 0;
  }

  void AddLogits(const LogitsView& logits, v1::Logits* out) {
    values_.resize(logits.classes());
    logits.Row(static_cast<int64_t>(row_), values_.data());
    // A single-logit row is widened to (0, z) by the view; the server takes it as it is stored.
    for (size_t k = logits.columns() == 1 ? 1 : 0; k < values_.size(); ++k) {
      out->add_values(static_cast<float>(values_[k]));
    }
  }

  const FitRequest& request_;
  size_t row_ = 0;
  std::vector<double> values_;
};

// One attempt of a fit: the set is written on a thread of its own, so that progress is read meanwhile.
class FitAttempt {
 public:
  FitAttempt(v1::CalibrationService::Stub& stub, const FitRequest& request, grpc::ClientContext* context)
      : request_(request), context_(context), stream_(stub.FitCalibrator(context)) {}

  // Sets `*cancelled` when on_progress wants no more.
  grpc::Status Run(v1::Calibrator* calibrator, bool* cancelled) {
    std::thread writer([this] { Upload(); });
    v1::FitCalibratorResponse response;
    while (stream_->Read(&response)) {
      if (response.has_calibrator()) *calibrator = response.calibrator();
      if (!response.has_progress() || request_.on_progress == nullptr) continue;
      const v1::FitProgress& progress = response.progress();
      if (request_.on_progress({progress.stage(), progress.fraction(), progress.rows()})) continue;
      *cancelled = true;
      context_->TryCancel();
    }
    writer.join();
    return stream_->Finish();
  }

 private:
  void Upload() {
    v1::FitCalibratorRequest message;
    *message.mutable_specification() = ToProto(request_);
    UploadChunks chunks(request_);
    do {
      if (!stream_->Write(message)) return;  // The call has ended; Finish says why.
    } while (chunks.Next(&message));
    stream_->WritesDone();
  }

  const FitRequest& request_;
  grpc::ClientContext* const context_;
  const std::unique_ptr<grpc::ClientReaderWriter<v1::FitCalibratorRequest, v1::FitCalibratorResponse>>
      stream_;
};

absl::Status CheckUpload(const FitRequest& request) {
  size_t rows = 0, labels = 0;
  if (const auto* upload = std::get_if<UploadedLogits>(&request.data)) {
    rows = static_cast<size_t>(upload->logits.rows());
    labels = upload->labels.size();
  } else if (const auto* inputs = std::get_if<UploadedInputs>(&request.data)) {
    rows = inputs->inputs.size();
    labels = inputs->labels.size();
  }
  if (rows == labels) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("an uploaded set must have a label for every row; has ",
                                                 rows, " rows, ", labels, " labels"));
}

}  // namespace

std::unique_ptr<CalibrationWatch> Client::WatchCalibration(const WatchRequest& request) const {
  return std::make_unique<GrpcWatch>(connection_, request);
}

absl::StatusOr<CalibratorInfo> Client::FitCalibrator(const FitRequest& request) const {
  if (absl::Status status = CheckUpload(request); !status.ok()) return status;
  v1::CalibrationService::Stub stub(connection_->channel());
  v1::Calibrator calibrator;
  bool cancelled = false;
  const auto attempt = [&](grpc::ClientContext* context) {
    calibrator.Clear();
    return FitAttempt(stub, request, context).Run(&calibrator, &cancelled);
  };
  const absl::Status status = connection_->CallUntil(absl::Now() + request.timeout, attempt, &cancelled);
  if (!status.ok()) return status;
  if (calibrator.method().empty())
    return absl::InternalError("the server ended the fit without a calibrator");
  return FromProto(calibrator);
}

}  // namespace calserve::client
