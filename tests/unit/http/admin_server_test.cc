// The admin port over real sockets: what it answers, and that no client can hold it up.
#include "server/http/admin_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/unit/http/client_connection.h"

namespace calserve {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class FakeView final : public ServerView {
 public:
  std::optional<std::string> NotReady() const override {
    return ready ? std::nullopt : std::optional<std::string>("stopping (Terminated)");
  }
  ServerValues Values() const override { return {}; }
  std::atomic<bool> ready{true};
};

class AdminServerTest : public ::testing::Test {
 protected:
  AdminServerTest() { options_.listen = "127.0.0.1:0"; }
  void Start() {
    absl::StatusOr<std::unique_ptr<AdminServer>> server = AdminServer::Start(options_, view_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::string Ask(const std::string& request) {
    Connection connection(server_->address());
    EXPECT_TRUE(connection.Send(request));
    return connection.ReadToEnd();
  }
  std::string Get(const std::string& path) { return Ask("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"); }

  AdminOptions options_;
  FakeView view_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, GivesMetricsInPrometheussTextFormat) {
  Start();
  const std::string answer = Get("/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr("\ncalserve_ready 1\n"));
}

TEST_F(AdminServerTest, IsAliveAlsoWhenItIsNotReadyAndSaysWhyItIsNot) {
  Start();
  EXPECT_THAT(Get("/readyz"), StartsWith("HTTP/1.1 200 "));
  view_.ready = false;
  const std::string not_ready = Get("/readyz");
  EXPECT_THAT(not_ready, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(not_ready, HasSubstr("not ready: stopping (Terminated)\n"));
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Get("/metrics"), HasSubstr("\ncalserve_ready 0\n"));
}

TEST_F(AdminServerTest, KnowsNoOtherPathAndNoOtherMethod) {
  Start();
  for (const char* path : {"/", "/metrics/", "/metricsx", "/%2e%2e/etc/passwd", "/../etc/passwd"})
    EXPECT_THAT(Get(path), StartsWith("HTTP/1.1 404 ")) << path;
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    const std::string answer =
        Ask(absl::StrCat(method, " /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 ")) << method;
    EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n")) << method;
  }
  EXPECT_THAT(Ask("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), EndsWith("\r\n\r\n"));
  EXPECT_THAT(Ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(AdminServerTest, ClosesTheConnectionAfterOneAnswer) {
  Start();
  const std::string two = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
  const std::string answer = Ask(two + two);
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << answer;
}

// A thousand ranges would have the answer sent a thousand times.
TEST_F(AdminServerTest, SendsTheWholeAnswerWhateverRangesAreAskedFor) {
  Start();
  EXPECT_THAT(Ask("GET /healthz HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,0-1,0-1\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\nalive\n")));
}

TEST_F(AdminServerTest, CutsOffARequestThatIsTooLarge) {
  options_.max_request_bytes = 4096;
  Start();
  Connection connection(server_->address());
  ASSERT_TRUE(connection.Send("GET /healthz HTTP/1.1\r\n"));
  std::string header = "X: " + std::string(1000, 'x') + "\r\n";
  for (int i = 0; i < 5; ++i) connection.Send(header);
  connection.Send("\r\n");
  const std::string answer = connection.ReadToEnd();
  EXPECT_THAT(answer, Not(HasSubstr(" 200 ")));
  EXPECT_THAT(answer, Not(EndsWith("open")));
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
}

// One that never ends its request, in small pieces, each in time.
TEST_F(AdminServerTest, CutsOffAClientThatIsTooSlow) {
  options_.threads = 1;
  options_.max_connection = absl::Milliseconds(300);
  Start();
  Connection slow(server_->address());
  const absl::Time start = absl::Now();
  ASSERT_TRUE(slow.Send("GET /healthz HTTP/1.1\r\nX: "));
  while (slow.Send("x") && absl::Now() < start + absl::Seconds(10)) absl::SleepFor(absl::Milliseconds(20));
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, RefusesAtOnceWhatItHasNoRoomFor) {
  options_.threads = 1;
  options_.max_waiting = 1;
  Start();
  std::vector<std::unique_ptr<Connection>> idle;  // They say nothing: the first holds the thread.
  for (int i = 0; i < 2; ++i) {
    idle.push_back(std::make_unique<Connection>(server_->address()));
    ASSERT_TRUE(idle.back()->connected());
    absl::SleepFor(absl::Milliseconds(100));  // for the thread to take it
  }
  const absl::Time start = absl::Now();
  Connection third(server_->address());
  EXPECT_THAT(third.ReadToEnd(), StartsWith("HTTP/1.1 503 "));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
}

TEST_F(AdminServerTest, StopsWhileClientsKeepItWaiting) {
  options_.threads = 1;
  Start();
  std::vector<std::unique_ptr<Connection>> idle;
  for (int i = 0; i < 5; ++i) idle.push_back(std::make_unique<Connection>(server_->address()));
  const absl::Time start = absl::Now();
  server_.reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(3));
}

TEST_F(AdminServerTest, AnAddressThatCannotBeHadIsNamed) {
  Start();
  AdminOptions taken;
  taken.listen = server_->address();
  for (const std::string& listen :
       {taken.listen, std::string("192.0.2.1:8501"), std::string("127.0.0.1"), std::string("127.0.0.1:x"),
        std::string("127.0.0.1:65536"), std::string(":8501")}) {
    AdminOptions options;
    options.listen = listen;
    const absl::Status status = AdminServer::Start(options, view_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << listen;
    EXPECT_THAT(std::string(status.message()), HasSubstr(listen));
  }
}

}  // namespace
}  // namespace calserve
