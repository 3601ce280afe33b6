#ifndef CALSERVE_TESTS_END_TO_END_API_H_
#define CALSERVE_TESTS_END_TO_END_API_H_

#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "calserve/v1/calibration.pb.h"
#include "calserve/v1/feedback.pb.h"
#include "calserve/v1/model.pb.h"
#include "calserve/v1/prediction.pb.h"

// The public contract as the tests speak it: generated stubs over a real channel, kept behind a header
// without gRPC, which costs a test ten seconds to compile. No retries: a test sees what the server said.
namespace calserve::e2e {

// What a call ended with: code, sentence and the google.rpc details.
struct CallStatus {
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message;
  std::string reason, domain;                 // ErrorInfo
  std::vector<std::string> fields;            // BadRequest
  std::optional<absl::Duration> retry_after;  // RetryInfo

  bool ok() const { return code == absl::StatusCode::kOk; }
};
std::ostream& operator<<(std::ostream& out, const CallStatus& status);

template <typename Response>
struct Reply {
  CallStatus status;
  Response response;

  bool ok() const { return status.ok(); }
  const Response* operator->() const { return &response; }
};

// One side of a call with a stream in either direction. Reading and writing may run on two threads.
// Destruction cancels what is not finished.
template <typename Request, typename Response>
class Stream {
 public:
  virtual ~Stream() = default;
  // False once the call has ended.
  virtual bool Write(const Request& request) = 0;
  virtual void CloseWrites() = 0;
  // False once there is no more; then Finish says why.
  virtual bool Read(Response* response) = 0;
  virtual CallStatus Finish() = 0;
  virtual void Cancel() = 0;
};

using PredictionStream = Stream<v1::StreamPredictRequest, v1::StreamPredictResponse>;
using FeedbackStream = Stream<v1::StreamFeedbackRequest, v1::StreamFeedbackResponse>;
using FitStream = Stream<v1::FitCalibratorRequest, v1::FitCalibratorResponse>;
struct NoRequest {};
using CalibrationWatch = Stream<NoRequest, v1::WatchCalibrationResponse>;

enum class Health { kUnknown = 0, kServing = 1, kNotServing = 2, kServiceUnknown = 3 };
using HealthWatch = Stream<NoRequest, Health>;

// One channel to one server. Thread-safe. Every call ends after `timeout` at the latest.
class Api {
 public:
  // Returns once it is connected, or after five seconds without a server.
  explicit Api(const std::string& address, absl::Duration timeout = absl::Seconds(60));
  ~Api();

  Reply<v1::PredictResponse> Predict(const v1::PredictRequest& request) const;
  Reply<v1::PredictResponse> Predict(const v1::PredictRequest& request, absl::Duration timeout) const;
  Reply<v1::SubmitFeedbackResponse> SubmitFeedback(const v1::SubmitFeedbackRequest& request) const;
  Reply<v1::ListCalibratorsResponse> ListCalibrators(const v1::ListCalibratorsRequest& request) const;
  Reply<v1::ActivateCalibratorResponse> Activate(const v1::ActivateCalibratorRequest& request) const;
  Reply<v1::RollbackCalibratorResponse> Rollback(const v1::RollbackCalibratorRequest& request) const;
  Reply<v1::GetRefitStatusResponse> RefitStatus(const v1::GetRefitStatusRequest& request) const;
  Reply<v1::GetCalibrationReportResponse> Report(const v1::GetCalibrationReportRequest& request) const;
  Reply<v1::ListSlicesResponse> ListSlices(const v1::ListSlicesRequest& request) const;
  Reply<v1::ListAlarmsResponse> ListAlarms() const;
  Reply<v1::ListModelsResponse> ListModels() const;
  Reply<v1::GetModelResponse> GetModel(const std::string& model) const;

  std::unique_ptr<PredictionStream> StreamPredict() const;
  std::unique_ptr<FeedbackStream> StreamFeedback() const;
  std::unique_ptr<FitStream> FitCalibrator() const;
  std::unique_ptr<CalibrationWatch> WatchCalibration(const v1::WatchCalibrationRequest& request) const;

  // grpc.health.v1; service "" is the whole server.
  Reply<Health> CheckHealth(const std::string& service) const;
  std::unique_ptr<HealthWatch> WatchHealth(const std::string& service) const;
  // Names of services by grpc.reflection.v1alpha.
  Reply<std::vector<std::string>> ReflectServices() const;

  // A Predict that runs until it is answered or cancelled; answered on destruction at the latest.
  class PendingPredict {
   public:
    virtual ~PendingPredict() = default;
    virtual void Cancel() = 0;
    virtual Reply<v1::PredictResponse> Wait() = 0;
  };
  std::unique_ptr<PendingPredict> StartPredict(const v1::PredictRequest& request) const;

 private:
  struct Stubs;
  const absl::Duration timeout_;
  const std::unique_ptr<Stubs> stubs_;
};

}  // namespace calserve::e2e

#endif  // CALSERVE_TESTS_END_TO_END_API_H_
