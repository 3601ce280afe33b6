#include "server/http/dashboard_api.h"

#include <charconv>
#include <cstdint>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/status_macros.h"
#include "server/http/authorize.h"
#include "server/http/dashboard_json.h"
#include "server/http/page_files.h"
#include "server/http/request_guard.h"
#include "server/logging/request_context.h"

namespace calserve {
namespace {

constexpr char kJsonType[] = "application/json";
constexpr char kActivatePath[] = "/api/v1/activate", kRollbackPath[] = "/api/v1/rollback";

// dygraphs and the diagram set styles through the DOM, which style-src does not forbid.
constexpr char kContentSecurityPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

int HttpStatusOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kUnimplemented:
      return 405;
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

void Secure(httplib::Response& response) {
  response.set_header("Content-Security-Policy", kContentSecurityPolicy);
  response.set_header("Cross-Origin-Opener-Policy", "same-origin");
  response.set_header("Cross-Origin-Resource-Policy", "same-origin");
  response.set_header("Referrer-Policy", "no-referrer");
  response.set_header("X-Content-Type-Options", "nosniff");
}

void SendFile(const PageFile& file, const httplib::Request& request, httplib::Response& response) {
  // Asked for again at every visit, so that a new server's page is never mixed with an old one's.
  response.set_header("Cache-Control", "no-cache");
  response.set_header("ETag", std::string(file.etag));
  if (request.get_header_value("If-None-Match") == file.etag) {
    response.status = 304;
    return;
  }
  response.status = 200;
  response.set_content(file.content.data(), file.content.size(), std::string(file.type));
}

// A whole number of the query; `missing` where it is not there.
absl::StatusOr<int64_t> Number(const httplib::Request& request, const char* name, int64_t missing) {
  if (!request.has_param(name)) return missing;
  const std::string text = request.get_param_value(name);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 0) return value;
  return absl::InvalidArgumentError(absl::StrCat(name, " must be a whole number from 0; was \"", text, "\""));
}

absl::StatusOr<int64_t> NeededNumber(const httplib::Request& request, const char* name) {
  if (request.has_param(name)) return Number(request, name, 0);
  return absl::InvalidArgumentError(absl::StrCat(name, " is missing"));
}

absl::StatusOr<Watch> WatchOf(const httplib::Request& request) {
  Watch watch;
  watch.model = request.get_param_value("model");
  watch.window = request.get_param_value("window");
  ASSIGN_OR_RETURN(watch.version, Number(request, "version", 0));
  if (watch.version != 0 && watch.model.empty()) {
    return absl::InvalidArgumentError("model is missing: a version is one of a model's");
  }
  return watch;
}

// What a change is asked for, by the names that the audit log has for it.
std::vector<std::pair<std::string, std::string>> AskedOf(const httplib::Request& request) {
  std::vector<std::pair<std::string, std::string>> asked;
  for (const auto& [name, parameter] : {std::pair{"model", "model"},
                                        {"model_version", "version"},
                                        {"before", "expected"},
                                        {"after", "calibrator"}}) {
    if (request.has_param(parameter)) asked.emplace_back(name, request.get_param_value(parameter));
  }
  return asked;
}

}  // namespace

bool DashboardApi::Answer(const httplib::Request& request, httplib::Response& response) {
  const PageFile* const file = FindPageFile(request.path);
  if (file == nullptr && !absl::StartsWith(request.path, "/api/")) return false;
  Secure(response);
  absl::Status status;
  if (file != nullptr) {
    status = SameSite(request);
    if (status.ok() && (request.method == "GET" || request.method == "HEAD")) {
      SendFile(*file, request, response);
      return true;
    }
    if (status.ok()) status = absl::UnimplementedError("only GET");
  } else {
    response.set_header("Cache-Control", "no-store");
    response.status = 200;
    status = AnswerCall(request, response);
  }
  if (!status.ok()) {
    response.status = HttpStatusOf(status);
    if (response.status == 401) response.set_header("WWW-Authenticate", "Bearer");
    if (response.status == 503) response.set_header("Retry-After", "5");
    response.set_content(ErrorToJson(status), kJsonType);
  }
  return true;
}

absl::Status DashboardApi::SameSite(const httplib::Request& request) const {
  if (request.get_header_value_count("Host") != 1) {
    return absl::PermissionDeniedError("a request must have one Host");
  }
  return CheckSameSite(request.get_header_value("Host"), request.get_header_value("Origin"),
                       options_.allowed_hosts);
}

absl::Status DashboardApi::CheckRole(const Identity& identity, Role role) const {
  if (asks_who()) return AccessControl::CheckRoles(identity, role);
  if (role == Role::kRead) return absl::OkStatus();
  return absl::PermissionDeniedError(
      "the page is read-only: no access control is configured, so nobody can be an admin");
}

absl::Status DashboardApi::AnswerCall(const httplib::Request& request, httplib::Response& response) {
  const std::string& path = request.path;
  if ((path == kActivatePath || path == kRollbackPath) && request.method == "POST") {
    RETURN_IF_ERROR(Change(request));
    response.set_content("{}", kJsonType);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(SameSite(request));
  if (path == kActivatePath || path == kRollbackPath) return absl::UnimplementedError("only POST");
  if (request.method != "GET" && request.method != "HEAD") return absl::UnimplementedError("only GET");
  ASSIGN_OR_RETURN(const Identity identity, Identify(access_, request));
  RETURN_IF_ERROR(CheckRole(identity, Role::kRead));
  ASSIGN_OR_RETURN(ClientLimits::Permit permit, Admit(access_, identity));
  if (path == "/api/v1/session") {
    const bool admin = asks_who() && identity.roles.Has(Role::kAdmin);
    response.set_content(ToJson(SessionValues{asks_who(), admin, identity.name, CALSERVE_VERSION}),
                         kJsonType);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Watch watch, WatchOf(request));
  RETURN_IF_ERROR(view_.Check(watch));
  if (path == kEventsPath) return Stream(request, watch, std::move(permit), response);
  if (path == "/api/v1/state") {
    response.set_content(*messages_.Newest(watch), kJsonType);
  } else if (path == "/api/v1/history") {
    ASSIGN_OR_RETURN(const int64_t since, Number(request, "since", 0));
    response.set_content(ToJson(view_.History(watch, absl::FromUnixMillis(since))), kJsonType);
  } else if (path == "/api/v1/calibrators") {
    ASSIGN_OR_RETURN(const std::vector<CalibratorValues> calibrators,
                     view_.Calibrators(watch.model, watch.version));
    response.set_content(ToJson(calibrators), kJsonType);
  } else {
    return absl::NotFoundError(absl::StrCat("there is no ", path));
  }
  return absl::OkStatus();
}

absl::Status DashboardApi::Change(const httplib::Request& request) {
  const absl::StatusOr<Identity> identity = Identify(access_, request);
  AuditRecord record{identity.ok() ? identity->name : kUnknownCaller, PeerText(request),
                     absl::StrCat("dashboard", request.path), AskedOf(request)};
  if (const RequestContext* const ids = RequestScope::Current()) {
    record.request_id = std::string(ids->request_id());
  }
  const absl::Status outcome = ChangeAs(identity, request);
  if (audit_ != nullptr) audit_->Record(record, outcome);
  return outcome;
}

absl::Status DashboardApi::ChangeAs(const absl::StatusOr<Identity>& identity,
                                    const httplib::Request& request) {
  RETURN_IF_ERROR(SameSite(request));
  RETURN_IF_ERROR(identity.status());
  RETURN_IF_ERROR(CheckRole(*identity, Role::kAdmin));
  ASSIGN_OR_RETURN(const ClientLimits::Permit permit, Admit(access_, *identity));
  ASSIGN_OR_RETURN(const int64_t version, NeededNumber(request, "version"));
  ASSIGN_OR_RETURN(const int64_t expected, NeededNumber(request, "expected"));
  const bool rollback = request.path == kRollbackPath;
  ASSIGN_OR_RETURN(const int64_t calibrator, rollback ? 0 : NeededNumber(request, "calibrator"));
  const std::string model = request.get_param_value("model");
  if (model.empty()) return absl::InvalidArgumentError("model is missing");
  if (audit_ != nullptr) RETURN_IF_ERROR(audit_->CheckWritable());
  return rollback ? view_.Rollback(model, version, expected)
                  : view_.Activate(model, version, calibrator, expected);
}

absl::Status DashboardApi::Stream(const httplib::Request& request, const Watch& watch,
                                  ClientLimits::Permit permit, httplib::Response& response) {
  if (request.method == "HEAD") {
    response.set_header("Content-Type", "text/event-stream");
    return absl::OkStatus();
  }
  std::shared_ptr<Viewers::Seat> seat = viewers_.TryTake();
  if (seat == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("the page has all its ", options_.max_viewers, " viewers; try again later"));
  }
  response.set_chunked_content_provider(
      "text/event-stream",
      [this, &request, watch, seat, held = std::make_shared<ClientLimits::Permit>(std::move(permit))](
          size_t, httplib::DataSink& sink) {
        absl::Time asked = absl::Now();
        const auto newest = [&]() -> std::shared_ptr<const std::string> {
          if (!sink.is_writable()) return nullptr;
          // A token may expire, or be taken away, while somebody watches.
          if (absl::Now() - asked >= options_.stream.heartbeat) {
            const absl::StatusOr<Identity> identity = Identify(access_, request);
            if (!identity.ok() || !CheckRole(*identity, Role::kRead).ok()) return nullptr;
            asked = absl::Now();
          }
          return messages_.Newest(watch);
        };
        StreamEvents(viewers_, options_.stream, newest,
                     [&](const std::string& text) { return sink.write(text.data(), text.size()); });
        sink.done();
        return true;
      });
  return absl::OkStatus();
}

}  // namespace calserve
