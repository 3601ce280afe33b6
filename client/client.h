#ifndef CALSERVE_CLIENT_CLIENT_H_
#define CALSERVE_CLIENT_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "client/calibration_watch.h"
#include "client/feedback_stream.h"
#include "client/predict_stream.h"
#include "client/retry.h"
#include "client/types.h"

namespace calserve::client {

class Connection;

struct ClientOptions {
  std::string target = "127.0.0.1:8500";  // host:port, or any gRPC target (dns:///name:port, unix:path)
  // Of a call, its retries included. Where there is no connection, finding out why takes up to 2 s more, and
  // the look-up of the target's name.
  absl::Duration timeout = absl::Seconds(30);
  RetryOptions retry;
  int max_message_bytes = 64 << 20;  // of an answer
  // A server that is silent for so long while a watch runs is asked whether it is there; silent for as long
  // again, and at least 10 s, it is gone, and the watch is opened again or ends with UNAVAILABLE. Other calls
  // end by their deadline. From 1 s to 1 h; a calserve-server is asked at most every 5 s without minding
  // (grpc.min_ping_interval).
  absl::Duration keepalive_time = absl::Seconds(20);

  bool tls = false;              // else plain text
  std::string ca_file;           // PEM of whom to trust; empty: whom the system trusts
  std::string certificate_file;  // PEM, the client's own, with its key_file, where the server asks for one
  std::string key_file;
  std::string token_file;  // its first line goes with every call; read again while it is used
  std::string token;       // the same, where there is no file; one word of printable ASCII
  // A token is else sent in plain text to this machine only: anybody on the way could take it.
  bool send_token_in_plain_text = false;
};

// A client of one calserve server, over one gRPC connection, and a second one for watches. Thread-safe;
// copies share the connections, and streams keep them alive.
//
// Every call has a deadline and is retried as RetryOptions says, never past that deadline. All of them may
// safely be sent twice. Errors keep the server's code and sentence; client/errors.h tells its reason and
// whether there was a server at all.
class Client final {
 public:
  // Does not wait for the server: the first call does. INVALID_ARGUMENT for an option out of range,
  // FAILED_PRECONDITION for a file that cannot be read.
  static absl::StatusOr<Client> Connect(const ClientOptions& options);
  const ClientOptions& options() const;

  absl::StatusOr<PredictResponse> Predict(const PredictRequest& request) const;
  // For throughput: many requests in flight, answers as they finish. See PredictStream.
  std::unique_ptr<PredictStream> OpenPredictStream(StreamLimits limits,
                                                   PredictStream::OnAnswer on_answer) const;

  // One result an item, in their order, each durable unless REJECTED. 1 to 10,000 items. `source`: who
  // labelled.
  absl::StatusOr<std::vector<FeedbackResult>> SubmitFeedback(absl::Span<const Feedback> items,
                                                             const std::string& source = "") const;
  std::unique_ptr<FeedbackStream> OpenFeedbackStream(StreamLimits limits,
                                                     FeedbackStream::OnAnswer on_answer) const;

  absl::StatusOr<WindowReport> GetCalibrationReport(const ReportRequest& request) const;
  // Of every slice of the calibrator version that had labels, in `request.data`, a window; its slice and
  // details are not looked at.
  absl::StatusOr<ModelSlices> ListSlices(const ReportRequest& request) const;
  // The live reports of windows, as they change. See CalibrationWatch.
  std::unique_ptr<CalibrationWatch> WatchCalibration(const WatchRequest& request) const;

  // Blocks until the fit is done and stored as FITTED; see FitRequest for progress and cancelling.
  absl::StatusOr<CalibratorInfo> FitCalibrator(const FitRequest& request) const;
  // The newest first, at most 10,000. model_version 0: of every version.
  absl::StatusOr<std::vector<CalibratorInfo>> ListCalibrators(const std::string& model,
                                                              int64_t model_version = 0) const;
  // Both are compare-and-swap on what is active (0: plain softmax); ABORTED where something else is. A retry
  // after a lost answer is ABORTED too: then what is active is what was asked for.
  absl::StatusOr<CalibratorInfo> ActivateCalibrator(const std::string& model, int64_t model_version,
                                                    int64_t version, int64_t expected_active_version) const;
  absl::StatusOr<CalibratorInfo> RollbackCalibrator(const std::string& model, int64_t model_version,
                                                    int64_t expected_active_version) const;

  // Of the active calibrators and their slices; an empty name: of every model.
  absl::StatusOr<std::vector<ModelAlarm>> ListAlarms(const std::string& model = "") const;
  // Takes the alarm of the active calibrator, or of a slice of its labels, back, durably. ABORTED if that is
  // not calibrator_version; FAILED_PRECONDITION if none is raised, also in a retry after a lost answer.
  absl::StatusOr<ModelAlarm> AcknowledgeAlarm(const std::string& model, int64_t model_version,
                                              int64_t calibrator_version,
                                              const std::optional<Slice>& slice = std::nullopt) const;

  // model_version 0: the model's default version.
  absl::StatusOr<RefitStatus> GetRefitStatus(const std::string& model, int64_t model_version = 0) const;

  // By name, at most 10,000.
  absl::StatusOr<std::vector<ModelInfo>> ListModels() const;

  // How much the server logs: "debug", "info", "warn" or "error".
  absl::StatusOr<std::string> GetLogLevel() const;
  // Until it starts anew. What it was before; INVALID_ARGUMENT for another word.
  absl::StatusOr<std::string> SetLogLevel(const std::string& level) const;
  absl::StatusOr<ModelInfo> GetModel(const std::string& model) const;

  // grpc.health.v1: of the whole server, or of one service ("calserve.v1.PredictionService").
  absl::StatusOr<Health> CheckHealth(const std::string& service = "") const;
  // Asks until the server serves, for at most `timeout`; then the last answer is the error. Finding out why
  // there is no connection takes up to 2 s more, as after a call.
  absl::Status WaitUntilServing(absl::Duration timeout) const;

 private:
  explicit Client(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

  std::shared_ptr<Connection> connection_;
};

}  // namespace calserve::client

namespace calserve {
using client::Client;
}  // namespace calserve

#endif  // CALSERVE_CLIENT_CLIENT_H_
