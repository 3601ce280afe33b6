#include "client/client.h"

#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <future>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "calserve/v1/calibration.grpc.pb.h"
#include "calserve/v1/feedback.grpc.pb.h"
#include "calserve/v1/model.grpc.pb.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "calserve/v1/server.grpc.pb.h"
#include "client/connection.h"
#include "client/proto_convert.h"
#include "client/refit_convert.h"
#include "client/token_source.h"

namespace calserve::client {
namespace {

// Calls one unary method of a stub, with retries.
template <typename Response, typename Stub, typename Request>
absl::StatusOr<Response> CallUnary(const Connection& connection, Stub& stub,
                                   grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                                Response*),
                                   const Request& request) {
  Response response;
  const absl::Status status = connection.Call([&](grpc::ClientContext* context) {
    response.Clear();
    return (stub.*method)(context, request, &response);
  });
  if (!status.ok()) return status;
  return response;
}

constexpr size_t kMostListed = 10'000;

constexpr char kLevelPrefix[] = "LOG_LEVEL_";

// LOG_LEVEL_INFO -> "info".
std::string LevelFromProto(v1::LogLevel level) {
  absl::string_view name = v1::LogLevel_Name(level);
  absl::ConsumePrefix(&name, kLevelPrefix);
  return absl::AsciiStrToLower(name);
}

// grpc.health.v1.HealthCheckRequest {string service = 1} and HealthCheckResponse {ServingStatus status = 1},
// by hand: Debian ships no .proto of them.
grpc::ByteBuffer EncodeHealthRequest(const std::string& service) {
  std::string bytes;
  if (!service.empty())
    bytes = absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service);
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

Health DecodeHealthResponse(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  if (!buffer.DumpToSingleSlice(&slice).ok() || slice.size() != 2 || slice.begin()[0] != 0x08)
    return Health::kUnknown;
  switch (slice.begin()[1]) {
    case 1:
      return Health::kServing;
    case 2:
      return Health::kNotServing;
    default:
      return Health::kUnknown;
  }
}

// gRPC takes a port modulo 65536. A port that is no number, or a path, is left to it.
absl::Status CheckPort(absl::string_view target) {
  const size_t colon = target.rfind(':');
  if (colon == absl::string_view::npos || absl::StartsWith(target, "unix:")) return absl::OkStatus();
  const absl::string_view text = target.substr(colon + 1);
  int32_t port;
  const bool is_number = std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
  if (!is_number || text.empty() || (absl::SimpleAtoi(text, &port) && port <= 65535)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("target must be host:port, the port at most 65535; was ", target));
}

absl::Status CheckSecurity(const ClientOptions& options) {
  if (!options.tls && !(options.ca_file.empty() && options.certificate_file.empty())) {
    return absl::InvalidArgumentError("ca_file and certificate_file are for TLS, which is off");
  }
  if (options.certificate_file.empty() != options.key_file.empty()) {
    return absl::InvalidArgumentError("certificate_file and key_file go together; only one is set");
  }
  const bool has_token = !options.token_file.empty() || !options.token.empty();
  if (has_token && !options.tls && !options.send_token_in_plain_text && !IsThisMachine(options.target)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a token is not sent to ", options.target,
        " in plain text, where anybody on the way could take it: use TLS (--tls, or --ca-file FILE)"));
  }
  return absl::OkStatus();
}

absl::Status CheckOptions(const ClientOptions& options) {
  if (options.target.empty()) return absl::InvalidArgumentError("target must be host:port; was empty");
  if (options.timeout <= absl::ZeroDuration() || options.timeout == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("timeout must be > 0 and finite; was ", absl::FormatDuration(options.timeout)));
  }
  if (options.max_message_bytes < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_message_bytes must be >= 1; was ", options.max_message_bytes));
  }
  if (options.keepalive_time < absl::Seconds(1) || options.keepalive_time > absl::Hours(1)) {
    return absl::InvalidArgumentError(absl::StrCat("keepalive_time must be from 1s to 1h; was ",
                                                   absl::FormatDuration(options.keepalive_time)));
  }
  if (absl::Status status = CheckPort(options.target); !status.ok()) return status;
  if (absl::Status status = CheckSecurity(options); !status.ok()) return status;
  return CheckRetryOptions(options.retry);
}

}  // namespace

absl::StatusOr<Client> Client::Connect(const ClientOptions& options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  const absl::StatusOr<ChannelFiles> files = ReadChannelFiles(options);
  if (!files.ok()) return files.status();
  absl::StatusOr<std::unique_ptr<TokenSource>> token = TokenSource::Create(options.token_file, options.token);
  if (!token.ok()) return token.status();
  return Client(std::make_shared<Connection>(options, *files, *std::move(token)));
}

const ClientOptions& Client::options() const { return connection_->options(); }

absl::StatusOr<PredictResponse> Client::Predict(const PredictRequest& request) const {
  v1::PredictionService::Stub stub(connection_->channel());
  auto response = CallUnary(*connection_, stub, &v1::PredictionService::Stub::Predict, ToProto(request));
  if (!response.ok()) return response.status();
  return FromProto(*std::move(response));
}

absl::StatusOr<std::vector<FeedbackResult>> Client::SubmitFeedback(absl::Span<const Feedback> items,
                                                                   const std::string& source) const {
  v1::SubmitFeedbackRequest request;
  for (const Feedback& item : items) *request.add_items() = ToProto(item);
  request.set_source(source);
  v1::FeedbackService::Stub stub(connection_->channel());
  const auto response = CallUnary(*connection_, stub, &v1::FeedbackService::Stub::SubmitFeedback, request);
  if (!response.ok()) return response.status();
  std::vector<FeedbackResult> results;
  for (const v1::FeedbackResult& result : response->results()) results.push_back(FromProto(result));
  return results;
}

absl::StatusOr<WindowReport> Client::GetCalibrationReport(const ReportRequest& request) const {
  v1::CalibrationService::Stub stub(connection_->channel());
  const auto response =
      CallUnary(*connection_, stub, &v1::CalibrationService::Stub::GetCalibrationReport, ToProto(request));
  if (!response.ok()) return response.status();
  return FromProto(response->report());
}

absl::StatusOr<std::vector<CalibratorInfo>> Client::ListCalibrators(const std::string& model,
                                                                    int64_t model_version) const {
  v1::CalibrationService::Stub stub(connection_->channel());
  v1::ListCalibratorsRequest request;
  request.set_model(model);
  request.set_model_version(model_version);
  std::vector<CalibratorInfo> out;
  do {
    const auto response =
        CallUnary(*connection_, stub, &v1::CalibrationService::Stub::ListCalibrators, request);
    if (!response.ok()) return response.status();
    for (const v1::Calibrator& calibrator : response->calibrators()) out.push_back(FromProto(calibrator));
    request.set_page_token(response->next_page_token());
  } while (!request.page_token().empty() && out.size() < kMostListed);
  if (out.size() > kMostListed) out.resize(kMostListed);
  return out;
}

namespace {

// The answer to an activation or a rollback.
template <typename Response>
CalibratorInfo Activated(const Response& response) {
  CalibratorInfo out = FromProto(response.calibrator());
  if (response.has_comparison()) out.comparison = FromProto(response.comparison());
  return out;
}

}  // namespace

absl::StatusOr<CalibratorInfo> Client::ActivateCalibrator(const std::string& model, int64_t model_version,
                                                          int64_t version,
                                                          int64_t expected_active_version) const {
  v1::ActivateCalibratorRequest request;
  request.set_model(model);
  request.set_model_version(model_version);
  request.set_version(version);
  request.set_expected_active_version(expected_active_version);
  v1::CalibrationService::Stub stub(connection_->channel());
  const auto response =
      CallUnary(*connection_, stub, &v1::CalibrationService::Stub::ActivateCalibrator, request);
  if (!response.ok()) return response.status();
  return Activated(*response);
}

absl::StatusOr<CalibratorInfo> Client::RollbackCalibrator(const std::string& model, int64_t model_version,
                                                          int64_t expected_active_version) const {
  v1::RollbackCalibratorRequest request;
  request.set_model(model);
  request.set_model_version(model_version);
  request.set_expected_active_version(expected_active_version);
  v1::CalibrationService::Stub stub(connection_->channel());
  const auto response =
      CallUnary(*connection_, stub, &v1::CalibrationService::Stub::RollbackCalibrator, request);
  if (!response.ok()) return response.status();
  return Activated(*response);
}

absl::StatusOr<ModelSlices> Client::ListSlices(const ReportRequest& request) const {
  v1::CalibrationService::Stub stub(connection_->channel());
  v1::ListSlicesRequest message;
  message.set_model(request.model);
  message.set_model_version(request.model_version);
  if (request.calibrator_version.has_value()) message.set_calibrator_version(*request.calibrator_version);
  if (const auto* const window = std::get_if<std::string>(&request.data)) message.set_window(*window);
  const auto response = CallUnary(*connection_, stub, &v1::CalibrationService::Stub::ListSlices, message);
  if (!response.ok()) return response.status();
  ModelSlices out;
  for (const v1::SliceKey& key : response->keys()) {
    out.keys.push_back({key.key(), {key.values().begin(), key.values().end()}});
  }
  for (const v1::WindowReport& report : response->reports()) out.reports.push_back(FromProto(report));
  return out;
}

absl::StatusOr<std::vector<ModelAlarm>> Client::ListAlarms(const std::string& model) const {
  v1::CalibrationService::Stub stub(connection_->channel());
  v1::ListAlarmsRequest request;
  request.set_model(model);
  const auto response = CallUnary(*connection_, stub, &v1::CalibrationService::Stub::ListAlarms, request);
  if (!response.ok()) return response.status();
  std::vector<ModelAlarm> out;
  for (const v1::ModelAlarm& alarm : response->alarms()) out.push_back(FromProto(alarm));
  return out;
}

absl::StatusOr<ModelAlarm> Client::AcknowledgeAlarm(const std::string& model, int64_t model_version,
                                                    int64_t calibrator_version,
                                                    const std::optional<Slice>& slice) const {
  v1::CalibrationService::Stub stub(connection_->channel());
  v1::AcknowledgeAlarmRequest request;
  request.set_model(model);
  request.set_model_version(model_version);
  request.set_calibrator_version(calibrator_version);
  if (slice.has_value()) *request.mutable_slice() = ToProto(*slice);
  const auto response =
      CallUnary(*connection_, stub, &v1::CalibrationService::Stub::AcknowledgeAlarm, request);
  if (!response.ok()) return response.status();
  return FromProto(response->alarm());
}

absl::StatusOr<RefitStatus> Client::GetRefitStatus(const std::string& model, int64_t model_version) const {
  v1::CalibrationService::Stub stub(connection_->channel());
  v1::GetRefitStatusRequest request;
  request.set_model(model);
  request.set_model_version(model_version);
  const auto response = CallUnary(*connection_, stub, &v1::CalibrationService::Stub::GetRefitStatus, request);
  if (!response.ok()) return response.status();
  return FromProto(*response);
}

absl::StatusOr<std::vector<ModelInfo>> Client::ListModels() const {
  v1::ModelService::Stub stub(connection_->channel());
  v1::ListModelsRequest request;
  std::vector<ModelInfo> out;
  do {
    const auto response = CallUnary(*connection_, stub, &v1::ModelService::Stub::ListModels, request);
    if (!response.ok()) return response.status();
    for (const v1::Model& model : response->models()) out.push_back(FromProto(model));
    request.set_page_token(response->next_page_token());
  } while (!request.page_token().empty() && out.size() < kMostListed);
  if (out.size() > kMostListed) out.resize(kMostListed);
  return out;
}

absl::StatusOr<std::string> Client::GetLogLevel() const {
  v1::ServerService::Stub stub(connection_->channel());
  const auto response =
      CallUnary(*connection_, stub, &v1::ServerService::Stub::GetLogLevel, v1::GetLogLevelRequest());
  if (!response.ok()) return response.status();
  return LevelFromProto(response->level());
}

absl::StatusOr<std::string> Client::SetLogLevel(const std::string& level) const {
  v1::SetLogLevelRequest request;
  v1::LogLevel value = v1::LOG_LEVEL_UNSPECIFIED;
  if (!v1::LogLevel_Parse(absl::StrCat(kLevelPrefix, absl::AsciiStrToUpper(level)), &value)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a log level must be debug, info, warn or error; was '", level, "'"));
  }
  request.set_level(value);
  v1::ServerService::Stub stub(connection_->channel());
  const auto response = CallUnary(*connection_, stub, &v1::ServerService::Stub::SetLogLevel, request);
  if (!response.ok()) return response.status();
  return LevelFromProto(response->previous());
}

absl::StatusOr<ModelInfo> Client::GetModel(const std::string& model) const {
  v1::GetModelRequest request;
  request.set_model(model);
  v1::ModelService::Stub stub(connection_->channel());
  const auto response = CallUnary(*connection_, stub, &v1::ModelService::Stub::GetModel, request);
  if (!response.ok()) return response.status();
  return FromProto(response->model());
}

namespace {

// The error is not explained.
absl::StatusOr<Health> CheckHealthUntil(const Connection& connection, const std::string& service,
                                        absl::Time deadline) {
  grpc::GenericStub stub(connection.channel());
  const grpc::ByteBuffer request = EncodeHealthRequest(service);
  grpc::ByteBuffer response;
  const absl::Status status = connection.TryUntil(deadline, [&](grpc::ClientContext* context) {
    std::promise<grpc::Status> done;
    response.Clear();
    stub.UnaryCall(context, "/grpc.health.v1.Health/Check", {}, &request, &response,
                   [&](grpc::Status answered) { done.set_value(std::move(answered)); });
    return done.get_future().get();
  });
  if (!status.ok()) return status;
  return DecodeHealthResponse(response);
}

}  // namespace

absl::StatusOr<Health> Client::CheckHealth(const std::string& service) const {
  if (service.size() > 127) {
    return absl::InvalidArgumentError(
        absl::StrCat("a service name must have at most 127 bytes; has ", service.size()));
  }
  const auto health = CheckHealthUntil(*connection_, service, absl::Now() + options().timeout);
  if (!health.ok()) return connection_->Explain(health.status());
  return health;
}

absl::Status Client::WaitUntilServing(absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  absl::Status last;
  while (true) {
    const auto health =
        CheckHealthUntil(*connection_, "", std::min(deadline, absl::Now() + options().timeout));
    if (health.ok() && *health == Health::kServing) return absl::OkStatus();
    const bool over = absl::Now() >= deadline;
    // The last check may have had no time left to get an answer: the one before tells more.
    if (health.ok()) {
      last = absl::UnavailableError(
          absl::StrCat(options().target, " is not serving after ", absl::FormatDuration(timeout)));
    } else if (last.ok() || !over || !absl::IsDeadlineExceeded(health.status())) {
      last = health.status();
    }
    if (over) return connection_->Explain(last);
    connection_->Wait(std::min(absl::Milliseconds(20), deadline - absl::Now()));
  }
}

}  // namespace calserve::client
