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
    ++asked;
    while (!answers) absl::SleepFor(absl::Milliseconds(1));
    return ready ? std::nullopt : std::optional<std::string>("stopping (Terminated)");
  }
  ServerValues Values() const override {
    ServerValues values;
    values.models.resize(models);
    for (size_t i = 0; i < models; ++i) values.models[i].version = static_cast<int64_t>(i);
    return values;
  }
  size_t models = 0;
  mutable std::atomic<int> asked{0};
  std::atomic<bool> answers{true}, ready{true};
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
  view_.answers = false;
  Connection held(server_->address());
  ASSERT_TRUE(held.Send("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"));
  while (view_.asked == 0) absl::SleepFor(absl::Milliseconds(1));
  Connection waiting(server_->address());
  ASSERT_TRUE(waiting.Send("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"));
  Connection third(server_->address());
  EXPECT_THAT(third.ReadToEnd(), StartsWith("HTTP/1.1 503 "));
  view_.answers = true;
  EXPECT_THAT(held.ReadToEnd(), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(waiting.ReadToEnd(), StartsWith("HTTP/1.1 200 "));
}

// As many as there are threads and places, again and again: half a head, a byte at a time, or nothing at all.
TEST_F(AdminServerTest, ClientsThatKeepItWaitingGiveWayToOthers) {
  options_.threads = 4;
  options_.max_waiting = 4;
  options_.max_head = absl::Minutes(10);
  options_.max_connection = absl::Minutes(10);
  Start();
  std::vector<std::unique_ptr<Connection>> slow;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 16; ++i) {
      slow.push_back(std::make_unique<Connection>(server_->address()));
      ASSERT_TRUE(slow.back()->connected());
      if (i % 2 == 0) slow.back()->Send("GET /metrics HTTP/1.1\r\nX: ");
    }
    for (const auto& one : slow) one->Send("x");
    absl::SleepFor(absl::Milliseconds(200));  // for the threads to have taken them
    for (const char* path : {"/healthz", "/readyz", "/metrics"})
      EXPECT_THAT(Get(path), StartsWith("HTTP/1.1 200 ")) << path;
  }
}

// Whoever has most connections drives out their own.
TEST_F(AdminServerTest, OneAddressDoesNotDriveOutAnother) {
  options_.threads = 4;
  options_.max_waiting = 64;
  options_.max_head = absl::Minutes(10);  // The kernel may take seconds to let 64 in.
  options_.max_connection = absl::Minutes(10);
  Start();
  Connection slow_but_honest(server_->address());
  ASSERT_TRUE(slow_but_honest.Send("GET /healthz HTTP/1.1\r\n"));
  std::vector<std::unique_ptr<Connection>> many;
  for (int i = 0; i < 64; ++i) {
    many.push_back(std::make_unique<Connection>(server_->address(), "127.0.0.2"));
    ASSERT_TRUE(many.back()->connected());
  }
  absl::SleepFor(absl::Milliseconds(300));
  ASSERT_TRUE(slow_but_honest.Send("Host: a\r\n\r\n"));
  EXPECT_THAT(slow_but_honest.ReadToEnd(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, AClientThatTakesNothingOfItsAnswerGivesWayToo) {
  options_.threads = 2;
  options_.max_connection = absl::Minutes(10);
  view_.models = 20'000;  // Some megabytes, more than the kernel's buffers hold.
  Start();
  Connection first(server_->address()), second(server_->address());
  for (Connection* one : {&first, &second}) {
    ASSERT_TRUE(one->Send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_THAT(one->ReadUntil("200"), EndsWith("200"));
  }
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, ARequestThatIsBeingAnsweredGivesWayToNobody) {
  options_.threads = 2;
  Start();
  view_.answers = false;
  Connection held(server_->address());
  ASSERT_TRUE(held.Send("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"));
  while (view_.asked == 0) absl::SleepFor(absl::Milliseconds(1));
  std::vector<std::unique_ptr<Connection>> slow;
  for (int i = 0; i < 8; ++i) {
    slow.push_back(std::make_unique<Connection>(server_->address()));
    slow.back()->Send("GET");
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
  view_.answers = true;
  EXPECT_THAT(held.ReadToEnd(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, AHeadHasLessTimeThanAnAnswer) {
  options_.max_head = absl::Milliseconds(200);
  Start();
  Connection silent(server_->address());
  EXPECT_THAT(silent.ReadToEnd(absl::Seconds(5)), Not(EndsWith("open")));
  view_.answers = false;
  Connection held(server_->address());
  ASSERT_TRUE(held.Send("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"));
  absl::SleepFor(absl::Milliseconds(400));
  view_.answers = true;
  EXPECT_THAT(held.ReadToEnd(), StartsWith("HTTP/1.1 200 "));
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
