// The page and its calls over real sockets, on values made up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/access/access_control.h"
#include "server/access/audit_log.h"
#include "server/base/clock.h"
#include "server/base/monotonic_clock.h"
#include "server/http/admin_server.h"
#include "server/http/dashboard_json.h"
#include "tests/unit/http/client_connection.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class FakeServer final : public ServerView {
 public:
  std::optional<std::string> NotReady() const override { return std::nullopt; }
  ServerValues Values() const override { return {}; }
};

class FakeDashboard final : public DashboardView {
 public:
  DashboardValues Values(const Watch& watch) const override {
    DashboardValues values;
    values.windows = {"last_1000"};
    if (watch.model != "m") return values;
    WatchedValues& watched = values.watched.emplace();
    watched.watch = watch;
    watched.served.n = 3;
    watched.served.ece = 0.1 + 0.2;
    return values;
  }
  absl::Status Check(const Watch& watch) const override {
    if (watch.model.empty() || watch.model == "m" || watch.model == "loading") return absl::OkStatus();
    return absl::NotFoundError("unknown model \"" + watch.model + "\"");
  }
  HistoryValues History(const Watch&, absl::Time since) const override {
    HistoryValues values;
    values.calibration.push_back({since + absl::Seconds(1), 7, 0, 0.5});
    return values;
  }
  absl::StatusOr<std::vector<CalibratorValues>> Calibrators(const std::string&, int64_t) override {
    return std::vector<CalibratorValues>(1);
  }
  absl::Status Activate(const std::string&, int64_t, int64_t calibrator, int64_t expected) override {
    ++changes;
    return expected == 1 ? absl::OkStatus() : absl::AbortedError(absl::StrCat(calibrator, " is not 1"));
  }
  absl::Status Rollback(const std::string&, int64_t, int64_t) override {
    ++changes;
    return absl::OkStatus();
  }
  int changes = 0;
};

class DashboardTest : public ::testing::Test {
 protected:
  DashboardTest() {
    options_.listen = "127.0.0.1:0";
    options_.dashboard.stream.interval = absl::Milliseconds(20);
  }
  void SetUp() override { Restart(); }
  void Restart() {
    server_.reset();
    absl::StatusOr<std::unique_ptr<AdminServer>> server =
        AdminServer::Start(options_, view_, security_, &dashboard_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::string Request(const std::string& method, const std::string& path, const std::string& headers = "") {
    return absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: ", server_->address(), "\r\n", headers,
                        "\r\n");
  }
  std::string Ask(const std::string& method, const std::string& path, const std::string& headers = "") {
    Connection connection(server_->address());
    EXPECT_TRUE(connection.Send(Request(method, path, headers)));
    return connection.ReadToEnd();
  }
  std::string Get(const std::string& path, const std::string& headers = "") {
    return Ask("GET", path, headers);
  }
  static nlohmann::json Body(const std::string& answer) {
    return nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n")));
  }
  std::unique_ptr<Connection> StartWatching() {
    auto connection = std::make_unique<Connection>(server_->address());
    EXPECT_TRUE(connection->Send(Request("GET", "/api/v1/events?model=m")));
    return connection;
  }

  FakeServer view_;
  FakeDashboard dashboard_;
  AdminOptions options_;
  AdminSecurity security_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(DashboardTest, SendsThePageWithAPolicyThatLetsNothingElseIn) {
  const std::string page = Get("/");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(page, HasSubstr("Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_THAT(
      page, HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "));
  EXPECT_THAT(page, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(page, Not(HasSubstr("Set-Cookie")));
  EXPECT_THAT(page, HasSubstr("<title>calserve</title>"));
  EXPECT_THAT(Get("/page.js"), HasSubstr("Content-Type: text/javascript; charset=utf-8\r\n"));
  EXPECT_THAT(Get("/page.css"), HasSubstr("Content-Type: text/css; charset=utf-8\r\n"));
  EXPECT_THAT(Get("/dygraph.min.js"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Get("/page.txt"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(DashboardTest, SendsAFileThatTheBrowserHasOnlyOnce) {
  const std::string page = Get("/page.js");
  const size_t at = page.find("ETag: ") + 6;
  const std::string etag = page.substr(at, page.find("\r\n", at) - at);
  const std::string again = Get("/page.js", "If-None-Match: " + etag + "\r\n");
  EXPECT_THAT(again, StartsWith("HTTP/1.1 304 "));
  EXPECT_THAT(again, EndsWith("\r\n\r\n"));
  EXPECT_THAT(Get("/page.js", "If-None-Match: \"other\"\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(DashboardTest, FiguresRoundTrip) {
  const nlohmann::json state = Body(Get("/api/v1/state?model=m&version=3"));
  EXPECT_EQ(state["watched"]["served"]["ece"].get<double>(), 0.1 + 0.2);
  EXPECT_EQ(state["watched"]["version"], 3);
  EXPECT_TRUE(state["watched"]["served"]["nll"].is_null());
  EXPECT_TRUE(Body(Get("/api/v1/state?model=loading"))["watched"].is_null());
}

TEST_F(DashboardTest, SaysWhatItDoesNotKnow) {
  for (const char* call : {"state", "history", "events", "calibrators"}) {
    const std::string unknown = Get(absl::StrCat("/api/v1/", call, "?model=other"));
    EXPECT_THAT(unknown, StartsWith("HTTP/1.1 404 ")) << call;
    EXPECT_EQ(Body(unknown)["error"]["message"], "unknown model \"other\"") << call;
    EXPECT_EQ(Body(unknown)["error"]["code"], "NOT_FOUND") << call;
  }
  EXPECT_THAT(Get("/api/v1/state?version=1"),
              AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("model is missing")));
}

TEST_F(DashboardTest, GivesHistoryAndCalibrators) {
  const nlohmann::json history = Body(Get("/api/v1/history?model=m&since=1000"))["calibration"];
  EXPECT_EQ(history["time"][0], 2000);
  EXPECT_EQ(history["calibrator"][0], 7);
  EXPECT_TRUE(history["ece"][0].is_null());  // There is no label.
  EXPECT_EQ(Body(Get("/api/v1/calibrators?model=m"))["calibrators"].size(), 1);
  const std::string unknown = Get("/api/v1/calibrators?model=other");
  EXPECT_THAT(unknown, StartsWith("HTTP/1.1 404 "));
  EXPECT_EQ(Body(unknown)["error"]["message"], "unknown model \"other\"");
}

TEST_F(DashboardTest, RefusesWhatItCannotRead) {
  for (const char* query :
       {"version=x", "version=-1", "version=1.5", "version=99999999999999999999", "version="}) {
    EXPECT_THAT(Get(absl::StrCat("/api/v1/state?", query)), StartsWith("HTTP/1.1 400 ")) << query;
  }
  EXPECT_THAT(Get("/api/v1/other"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask("POST", "/api/v1/state"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Ask("POST", "/page.js"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Ask("HEAD", "/api/v1/events"), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\n")));
}

TEST_F(DashboardTest, AnswersOnlyItsOwnPage) {
  Connection rebound(server_->address());
  ASSERT_TRUE(rebound.Send("GET /api/v1/state HTTP/1.1\r\nHost: evil.example\r\n\r\n"));
  EXPECT_THAT(rebound.ReadToEnd(), StartsWith("HTTP/1.1 403 "));
  Connection nameless(server_->address());
  ASSERT_TRUE(nameless.Send("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_THAT(nameless.ReadToEnd(), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Get("/api/v1/state", "Origin: http://evil.example\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Get("/api/v1/state", "Host: localhost\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Get("/api/v1/state", absl::StrCat("Origin: http://", server_->address(), "\r\n")),
              StartsWith("HTTP/1.1 200 "));
}

TEST_F(DashboardTest, ShowsFiguresToScrapersAloneAndHealthToAll) {
  const auto as = [this](const std::string& path, const std::string& host, const std::string& headers = "") {
    Connection connection(server_->address());
    EXPECT_TRUE(
        connection.Send(absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: ", host, "\r\n", headers, "\r\n")));
    return connection.ReadToEnd();
  };
  EXPECT_THAT(as("/metrics", "calserve:8501"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(as("/metrics", "evil.example"),
              AllOf(StartsWith("HTTP/1.1 403 "), HasSubstr("admin.allowed_hosts")));
  EXPECT_THAT(as("/metrics", "127.0.0.1", "Origin: http://evil.example\r\n"), StartsWith("HTTP/1.1 403 "));
  for (const char* path : {"/healthz", "/readyz"})
    EXPECT_THAT(as(path, "calserve.default.svc"), StartsWith("HTTP/1.1 200 ")) << path;
}

TEST_F(DashboardTest, APathThatIsNotThereIsToldWhatIs) {
  EXPECT_THAT(Get("/dashboard"), AllOf(StartsWith("HTTP/1.1 404 "), HasSubstr("/metrics"),
                                       HasSubstr("/healthz"), HasSubstr("/ is a page")));
}

TEST_F(DashboardTest, IsReadOnlyWithoutAccessControl) {
  EXPECT_EQ(Body(Get("/api/v1/session"))["admin"], false);
  for (const char* path : {"/api/v1/activate?model=m&version=1&calibrator=2&expected=1",
                           "/api/v1/rollback?model=m&version=1&expected=1"}) {
    EXPECT_THAT(Ask("POST", path), StartsWith("HTTP/1.1 403 ")) << path;
    EXPECT_THAT(Get(path), StartsWith("HTTP/1.1 405 ")) << path;
  }
  EXPECT_EQ(dashboard_.changes, 0);
}

TEST_F(DashboardTest, StreamsUncompressedUntilTheServerEnds) {
  Connection watching(server_->address());
  ASSERT_TRUE(watching.Send(Request("GET", "/api/v1/events?model=m", "Accept-Encoding: gzip, br\r\n")));
  const std::string beginning = watching.ReadUntil("\n\n\r\n");
  EXPECT_THAT(beginning, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(beginning, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(beginning, HasSubstr("event: state\ndata: {"));
  server_.reset();
  EXPECT_THAT(watching.ReadToEnd(), HasSubstr("event: end\n"));
}

TEST_F(DashboardTest, AStreamOutlivesWhatAnOrdinaryConnectionMayLast) {
  options_.max_connection = absl::Milliseconds(300);
  options_.dashboard.stream.heartbeat = absl::Milliseconds(100);
  Restart();
  const std::unique_ptr<Connection> watching = StartWatching();
  for (int i = 0; i < 10; ++i) EXPECT_THAT(watching->ReadUntil(": alive\n"), HasSubstr(": alive\n")) << i;
}

TEST_F(DashboardTest, RefusesAtOnceTheViewerThatIsOneTooManyAndAnswersOthers) {
  std::vector<std::unique_ptr<Connection>> viewers;
  for (int i = 0; i < options_.dashboard.max_viewers; ++i) {
    viewers.push_back(StartWatching());
    EXPECT_THAT(viewers.back()->ReadUntil("event: state"), HasSubstr("event: state")) << i;
  }
  const std::string refused = Get("/api/v1/events?model=m");
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(refused, HasSubstr("Retry-After: "));
  EXPECT_THAT(std::string(Body(refused)["error"]["message"]), HasSubstr("32 viewers"));
  for (int i = 0; i < options_.threads; ++i) EXPECT_THAT(Get("/metrics"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(DashboardTest, APlaceIsFreeAgainSoonAfterItsViewerHasGone) {
  options_.dashboard.max_viewers = 1;
  Restart();
  std::unique_ptr<Connection> viewer = StartWatching();
  viewer->ReadUntil("event: state");
  EXPECT_THAT(Get("/api/v1/events"), StartsWith("HTTP/1.1 503 "));
  viewer.reset();
  const absl::Time end = absl::Now() + absl::Seconds(20);
  std::string answer;
  while (answer.find("event: state") == std::string::npos && absl::Now() < end) {
    answer = StartWatching()->ReadUntil("\n\n");
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
}

// Two tokens, "reader" and "keeper", by their digests.
class GuardedDashboardTest : public DashboardTest {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / absl::StrCat("calserve-dashboard-test-", getpid());
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ / "tokens")
        << "r read sha256:3d0941964aa3ebdcb00ccef58b1bb399f9f898465e9886d5aec7f31090a0fb30\n"
        << "k admin sha256:00aa8942525b763cbe72e4a0fbfbb027b909dd8299e9c6c85c28d3d42d2cc28b\n";
    std::filesystem::permissions(folder_ / "tokens",
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    access_options_.tokens_file = folder_ / "tokens";
    OpenAccess();
    auto audit = AuditLog::Open(folder_ / "audit");
    ASSERT_TRUE(audit.ok()) << audit.status();
    audit_ = *std::move(audit);
    security_.audit = audit_.get();
    DashboardTest::SetUp();
  }
  void OpenAccess() {
    server_.reset();
    auto access = AccessControl::Create(access_options_, Clock::System(), MonotonicClock::System());
    ASSERT_TRUE(access.ok()) << access.status();
    access_ = *std::move(access);
    security_.access = access_.get();
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  static std::string By(const std::string& token) { return "Authorization: Bearer " + token + "\r\n"; }
  std::string Audited() {
    std::ifstream file(folder_ / "audit");
    std::string line, last;
    while (std::getline(file, line)) last = line;
    return last;
  }

  const std::string activate_ = "/api/v1/activate?model=m&version=3&calibrator=2&expected=1";
  std::filesystem::path folder_;
  AccessOptions access_options_;
  std::unique_ptr<AccessControl> access_;
  std::unique_ptr<AuditLog> audit_;
};

TEST_F(GuardedDashboardTest, ShowsNothingButThePageWithoutAToken) {
  EXPECT_THAT(Get("/"), StartsWith("HTTP/1.1 200 "));
  for (const char* path : {"/api/v1/session", "/api/v1/state", "/api/v1/events", "/api/v1/history",
                           "/api/v1/calibrators?model=m", "/api/v1/other"}) {
    EXPECT_THAT(Get(path), AllOf(StartsWith("HTTP/1.1 401 "), HasSubstr("WWW-Authenticate: Bearer\r\n")))
        << path;
    EXPECT_THAT(Get(path, By("nobody")), StartsWith("HTTP/1.1 401 ")) << path;
  }
  EXPECT_THAT(Get("/api/v1/state", By("reader")), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(Body(Get("/api/v1/session", By("reader")))["admin"], false);
  EXPECT_EQ(Body(Get("/api/v1/session", By("keeper")))["admin"], true);
}

// Prometheus with its token, by whatever name.
TEST_F(GuardedDashboardTest, ATokenIsEnoughToReadFigures) {
  const auto metrics = [this](const std::string& token) {
    Connection connection(server_->address());
    EXPECT_TRUE(
        connection.Send(absl::StrCat("GET /metrics HTTP/1.1\r\nHost: a.example\r\n", By(token), "\r\n")));
    return connection.ReadToEnd();
  };
  EXPECT_THAT(metrics("reader"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(metrics("nobody"), StartsWith("HTTP/1.1 401 "));
  options_.open_metrics = true;
  Restart();
  EXPECT_THAT(metrics("reader"), StartsWith("HTTP/1.1 403 "));
}

TEST_F(GuardedDashboardTest, OnlyAnAdminChangesAndEveryAttemptIsAudited) {
  EXPECT_THAT(Ask("POST", activate_), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(Audited(), AllOf(HasSubstr("who=unknown peer=ipv4:127.0.0.1:"), HasSubstr("=UNAUTHENTICATED")));
  EXPECT_THAT(Ask("POST", activate_, By("reader")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Audited(), AllOf(HasSubstr("who=token:r"), HasSubstr("outcome=PERMISSION_DENIED")));
  EXPECT_EQ(dashboard_.changes, 0);
  EXPECT_THAT(Ask("POST", activate_, By("keeper")), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(dashboard_.changes, 1);
  EXPECT_THAT(Audited(), ContainsRegex("audit who=token:k peer=ipv4:127.0.0.1:[0-9]+ "
                                       "action=dashboard/api/v1/activate request_id=[0-9a-f]+ model=m "
                                       "model_version=3 before=1 after=2 outcome=OK$"));
}

TEST_F(GuardedDashboardTest, WhatCannotBeAuditedIsNotDone) {
  std::filesystem::remove_all(folder_);
  const std::string refused = Ask("POST", activate_, By("keeper"));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(std::string(Body(refused)["error"]["message"]), HasSubstr("could not be audited"));
  EXPECT_EQ(dashboard_.changes, 0);
  EXPECT_THAT(Get("/metrics", By("reader")), HasSubstr("\ncalserve_audit_failures_total 1\n"));
  std::filesystem::create_directories(folder_);
  EXPECT_THAT(Ask("POST", activate_, By("keeper")), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(dashboard_.changes, 1);
}

TEST_F(GuardedDashboardTest, TheLimitsOfAClientHoldForThePageAndForAStreamAsLongAsItLasts) {
  access_options_.limits.concurrency_limit = 1;
  OpenAccess();
  Restart();
  Connection watching(server_->address());
  ASSERT_TRUE(watching.Send(Request("GET", "/api/v1/events?model=m", By("reader"))));
  EXPECT_THAT(watching.ReadUntil("event: state"), HasSubstr("event: state"));
  for (const char* path : {"/api/v1/state", "/api/v1/events", "/metrics"})
    EXPECT_THAT(Get(path, By("reader")), StartsWith("HTTP/1.1 429 ")) << path;
  EXPECT_THAT(Get("/api/v1/state", By("keeper")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(GuardedDashboardTest, AChangeNamesWhatItReplaces) {
  EXPECT_THAT(Ask("POST", "/api/v1/activate?model=m&version=3&calibrator=2&expected=7", By("keeper")),
              StartsWith("HTTP/1.1 409 "));
  const int changes = dashboard_.changes;
  for (const char* query : {"", "?model=m&version=3&calibrator=2", "?model=m&calibrator=2&expected=1",
                            "?model=m&version=3&expected=1", "?model=m&version=3&calibrator=x&expected=1"}) {
    EXPECT_THAT(Ask("POST", absl::StrCat("/api/v1/activate", query), By("keeper")),
                StartsWith("HTTP/1.1 400 "))
        << query;
  }
  EXPECT_EQ(dashboard_.changes, changes);
}

TEST_F(GuardedDashboardTest, AnotherSiteCannotChangeAnything) {
  EXPECT_THAT(Ask("POST", activate_, absl::StrCat(By("keeper"), "Origin: http://evil.example\r\n")),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(dashboard_.changes, 0);
  EXPECT_THAT(Audited(), AllOf(HasSubstr("who=token:k"), HasSubstr("outcome=PERMISSION_DENIED"),
                               HasSubstr("http://evil.example")));
}

TEST_F(GuardedDashboardTest, AStreamEndsWhenItsTokenIsTakenAway) {
  options_.dashboard.stream.heartbeat = absl::Milliseconds(50);
  Restart();
  Connection watching(server_->address());
  ASSERT_TRUE(watching.Send(Request("GET", "/api/v1/events?model=m", By("reader"))));
  EXPECT_THAT(watching.ReadUntil("event: state"), HasSubstr("event: state"));
  std::ofstream(folder_ / "tokens") << "# none\n";
  access_->Reload();
  EXPECT_THAT(watching.ReadToEnd(), Not(EndsWith("open")));
}

TEST(DashboardJsonTest, TextOfTheOutsideStaysText) {
  DashboardValues values;
  values.models.push_back({"a\"b\n</script>", "\xff", 0, {}});
  const nlohmann::json json = nlohmann::json::parse(ToJson(values));
  EXPECT_EQ(json["models"][0]["name"], "a\"b\n</script>");
  EXPECT_EQ(json["models"][0]["reason"], "\xef\xbf\xbd");
  EXPECT_EQ(ToJson(values).find('\n'), std::string::npos);  // An event's data is one line.
}

}  // namespace
}  // namespace calserve
