#include "server/http/admin_server.h"

#include <httplib.h>
#include <sys/socket.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/status_macros.h"
#include "server/base/worker_pool.h"
#include "server/http/authorize.h"
#include "server/http/connection_stream.h"
#include "server/http/crowd.h"
#include "server/http/dashboard_api.h"
#include "server/http/http_log.h"
#include "server/http/metrics_text.h"
#include "server/http/request_guard.h"
#include "server/http/tls_context.h"
#include "server/http/tls_stream.h"

namespace calserve {
namespace {

// For what a client still sends after its answer; of one that is refused, on the thread that accepts.
constexpr absl::Duration kLinger = absl::Milliseconds(200), kRefusedLinger = absl::Milliseconds(1);

constexpr char kText[] = "text/plain; charset=utf-8";

struct HostAndPort {
  std::string host;
  int port = 0;
};

absl::StatusOr<HostAndPort> Split(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  HostAndPort out;
  if (colon != std::string::npos) {
    out.host = listen.substr(0, colon);
    const char* const end = listen.data() + listen.size();
    const auto [parsed_to, error] = std::from_chars(listen.data() + colon + 1, end, out.port);
    if (error == std::errc() && parsed_to == end && !out.host.empty() && out.port >= 0 && out.port <= 65535) {
      if (out.host.front() == '[' && out.host.back() == ']')
        out.host = out.host.substr(1, out.host.size() - 2);
      return out;
    }
  }
  return absl::UnavailableError(
      absl::StrCat("admin_listen must be host:port with a port from 0 to 65535; was \"", listen, "\""));
}

// Hands connections to a bounded pool. cpp-httplib gives a connection as a function that must be called, or
// its socket is never closed: what finds no room is called at once, on the accepting thread, `refusing`.
class BoundedTasks final : public httplib::TaskQueue {
 public:
  BoundedTasks(int threads, int max_waiting, Crowd& crowd)
      : crowd_(crowd), pool_(std::make_unique<WorkerPool>(threads, static_cast<size_t>(max_waiting), 0)) {}

  static bool refusing() { return refusing_; }

  void enqueue(std::function<void()> connection) override {
    crowd_.Arrive();
    WorkerPool::Work work = connection;
    if (pool_->TrySubmit(std::move(work), 0)) return;
    refusing_ = true;
    connection();
    refusing_ = false;
  }
  void shutdown() override { pool_.reset(); }

 private:
  static thread_local bool refusing_;
  Crowd& crowd_;
  std::unique_ptr<WorkerPool> pool_;
};
thread_local bool BoundedTasks::refusing_ = false;

class HttpServer final : public httplib::Server {
 public:
  // `viewers` of the connections may last.
  HttpServer(const AdminOptions& options, const TlsFiles* tls, int viewers)
      : options_(options), crowd_(options.threads + viewers) {
    if (tls != nullptr) tls_.emplace(*tls);
    new_task_queue = [this, viewers] {
      return new BoundedTasks(options_.threads + viewers, options_.max_waiting, crowd_);
    };
    // Not SO_REUSEPORT, which is cpp-httplib's way: two servers on one port would share its connections.
    set_socket_options([](int socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
  }

  // Connections that wait for their client are over soon after.
  void Stop() {
    stopping_ = true;
    stop();
  }

 private:
  // In place of cpp-httplib's, which keeps connections and has no limit on all of one.
  bool process_and_close_socket(int socket) override {
    ConnectionStream stream(
        socket, {options_.max_head, options_.max_connection, static_cast<size_t>(options_.max_request_bytes)},
        crowd_, stopping_);
    if (BoundedTasks::refusing()) {
      // There is no time for a handshake.
      if (!tls_.has_value())
        stream.write("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      stream.FinishWriting(kRefusedLinger);
      return true;
    }
    const bool answered = tls_.has_value() ? AnswerOverTls(stream) : AnswerOne(stream, nullptr, stream);
    stream.FinishWriting(kLinger);
    return answered;
  }

  bool AnswerOverTls(ConnectionStream& connection) {
    TlsStream stream(tls_->Current(), connection);
    const bool answered = stream.Handshake() && AnswerOne(stream, stream.ssl(), connection);
    stream.Close();
    return answered;
  }

  bool AnswerOne(httplib::Stream& stream, const SSL* ssl, ConnectionStream& connection) {
    bool closed = false;
    return process_request(stream, /*close_connection=*/true, closed, [&](httplib::Request& request) {
      connection.HeadIsRead();
      // Ranges would have a large answer cut up, as often as the headers have room for.
      request.ranges.clear();
      request.ssl = ssl;
      if (request.path != kEventsPath) return;
      request.headers.erase("Accept-Encoding");  // A compressor would hold events back.
      connection.LimitEachWrite();
    });
  }

  const AdminOptions options_;
  Crowd crowd_;
  std::optional<TlsContext> tls_;
  std::atomic<bool> stopping_{false};
};

class AdminServerImpl final : public AdminServer {
 public:
  AdminServerImpl(const AdminOptions& options, const ServerView& view, const AdminSecurity& security,
                  DashboardView* dashboard)
      : options_(options),
        view_(view),
        access_(security.access),
        audit_(security.audit),
        server_(options, security.tls, dashboard != nullptr ? options.dashboard.max_viewers : 0) {
    if (dashboard != nullptr)
      dashboard_.emplace(options.dashboard, *dashboard, security.access, security.audit);
    // Before cpp-httplib's own routing: it would read a body first.
    server_.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      const absl::Time began = absl::Now();
      const RequestContext ids = HttpLog::Begin(request, response);
      const RequestScope scope(ids);
      Answer(request, response);
      log_.Answered(request, response, absl::Now() - began);
      return httplib::Server::HandlerResponse::Handled;
    });
  }

  ~AdminServerImpl() override {
    if (dashboard_.has_value()) dashboard_->Stop();
    server_.Stop();
  }

  absl::Status Listen() {
    ASSIGN_OR_RETURN(const HostAndPort address, Split(options_.listen));
    port_ = address.port == 0 ? server_.bind_to_any_port(address.host)
                              : (server_.bind_to_port(address.host, address.port) ? address.port : -1);
    if (port_ <= 0) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", options_.listen,
                       " (admin_listen): the port is taken, or the address is not one of this machine"));
    }
    listener_ = std::jthread([this] {
      server_.listen_after_bind();
      ended_ = true;
    });
    // Before it runs, stop() would not end it.
    while (!server_.is_running() && !ended_) absl::SleepFor(absl::Milliseconds(1));
    return absl::OkStatus();
  }

  std::string address() const override {
    return absl::StrCat(options_.listen.substr(0, options_.listen.rfind(':')), ":", port_);
  }

 private:
  void Answer(const httplib::Request& request, httplib::Response& response) {
    if (dashboard_.has_value() && dashboard_->Answer(request, response)) return;
    if (request.method != "GET" && request.method != "HEAD") {
      response.status = 405;
      response.set_header("Allow", "GET, HEAD");
      return response.set_content("only GET\n", kText);
    }
    response.set_header("Cache-Control", "no-store");
    response.set_header("X-Content-Type-Options", "nosniff");
    response.status = 200;
    if (request.path == "/metrics") {
      if (!MayScrape(request, response)) return;
      ServerValues values = view_.Values();
      if (audit_ != nullptr) values.audit_failures = audit_->failures();
      response.set_content(MetricsText(values, !view_.NotReady().has_value(), ReadProcessStats()),
                           kMetricsContentType);
    } else if (request.path == "/healthz") {
      response.set_content("alive\n", kText);
    } else if (request.path == "/readyz") {
      const std::optional<std::string> not_ready = view_.NotReady();
      if (not_ready.has_value()) response.status = 503;
      response.set_content(not_ready.has_value() ? absl::StrCat("not ready: ", *not_ready, "\n") : "ready\n",
                           kText);
    } else {
      response.status = 404;
      response.set_content(absl::StrCat("there are /metrics, /healthz and /readyz",
                                        dashboard_.has_value() ? ", and / is a page for browsers\n" : "\n"),
                           kText);
    }
  }

  // False where the answer has been made. A token says more than a Host; without one, a page of another site
  // whose name leads here could read the figures.
  bool MayScrape(const httplib::Request& request, httplib::Response& response) const {
    if (!options_.open_metrics && access_ != nullptr && access_->enabled())
      return Authorized(access_, Role::kRead, request, response);
    const absl::Status status =
        CheckScrape(request.get_header_value("Host"), request.get_header_value("Origin"),
                    options_.dashboard.allowed_hosts);
    if (status.ok()) return true;
    response.status = 403;
    response.set_content(absl::StrCat(status.message(), "\n"), kText);
    return false;
  }

  const AdminOptions options_;
  const ServerView& view_;
  AccessControl* const access_;
  const AuditLog* const audit_;
  std::optional<DashboardApi> dashboard_;
  HttpLog log_;
  int port_ = 0;
  std::atomic<bool> ended_{false};
  HttpServer server_;
  std::jthread listener_;  // Last: joined before the server that it runs is destroyed.
};

}  // namespace

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const AdminOptions& options,
                                                                const ServerView& view,
                                                                AdminSecurity security,
                                                                DashboardView* dashboard) {
  auto server = std::make_unique<AdminServerImpl>(options, view, security, dashboard);
  RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<AdminServer>(std::move(server));
}

}  // namespace calserve
