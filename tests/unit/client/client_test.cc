// What holds without a server: options, and errors where nothing listens. tests/end_to_end has the rest.
#include "client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/errors.h"

namespace calserve::client {
namespace {

using ::testing::HasSubstr;

Client Nowhere() {
  ClientOptions options;
  options.target = "127.0.0.1:1";  // tcpmux: nobody has it
  options.timeout = absl::Seconds(5);
  options.retry.max_attempts = 2;
  options.retry.initial_backoff = absl::Milliseconds(10);
  return *Client::Connect(options);
}

// Its kernel takes connections, and nobody answers on them.
class SilentServer {
 public:
  SilentServer() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 16), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() { close(fd_); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  const int fd_;
  int port_ = 0;
};

TEST(ClientTest, RefusesOptionsOutOfRange) {
  EXPECT_THAT(Client::Connect({.target = ""}).status().message(), HasSubstr("target"));
  EXPECT_THAT(Client::Connect({.timeout = absl::ZeroDuration()}).status().message(),
              HasSubstr("timeout must be > 0"));
  EXPECT_THAT(Client::Connect({.retry = {.max_attempts = 0}}).status().message(), HasSubstr("max_attempts"));
  for (const absl::Duration keepalive :
       {absl::ZeroDuration(), absl::Milliseconds(999), absl::Hours(2), absl::InfiniteDuration()}) {
    EXPECT_THAT(Client::Connect({.keepalive_time = keepalive}).status().message(),
                HasSubstr("keepalive_time must be from 1s to 1h; was "));
  }
  for (const char* target : {"localhost:65536", "dns:///localhost:70000", "[::1]:99999999999999999999"}) {
    EXPECT_THAT(Client::Connect({.target = target}).status().message(),
                HasSubstr("the port at most 65535; was " + std::string(target)));
  }
  for (const char* target :
       {"localhost:65535", "localhost", "localhost:", "localhost:http", "unix:/tmp/a:70000"}) {
    EXPECT_TRUE(Client::Connect({.target = target}).ok()) << target;
  }
}

// gRPC ends the process, printing it, where a header holds anything else.
TEST(ClientTest, RefusesATokenThatNoHeaderCanHold) {
  for (const char* token : {"a secret", "a\nsecret", "secr\xc3\xa9t", "secret\x7f"}) {
    const absl::Status status = Client::Connect({.token = token}).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr("token must be one word of printable ASCII; its byte "));
    EXPECT_THAT(status.message(), ::testing::Not(HasSubstr("secr")));
  }
  EXPECT_TRUE(Client::Connect({.token = " secret\n"}).ok());
  EXPECT_TRUE(Client::Connect({.token = std::string(16384, 'a')}).ok());
  EXPECT_FALSE(Client::Connect({.token = std::string(16385, 'a')}).ok());
}

TEST(ClientTest, NobodyThereIsUnreachable) {
  const Client client = Nowhere();
  for (const absl::Status& status :
       {client.Predict({}).status(), client.ListModels().status(), client.CheckHealth().status(),
        client.GetCalibrationReport({}).status(), client.FitCalibrator({}).status(),
        client.WatchCalibration({})->Next().status()}) {
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_TRUE(IsUnreachable(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr("cannot reach 127.0.0.1:1"));
  }
}

TEST(ClientTest, WaitingForAServerThatSaysNothingEndsInTime) {
  const SilentServer silent;
  const Client client = *Client::Connect({.target = silent.address()});  // whose calls take up to 30 s
  const absl::Time start = absl::Now();
  const absl::Status status = client.WaitUntilServing(absl::Milliseconds(300));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(300));
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));  // 2 s of them to find out why
}

TEST(ClientTest, AWatchThatIsCancelledWhileItsErrorIsExplainedHasNoError) {
  const SilentServer silent;
  ClientOptions options;
  options.target = silent.address();
  options.retry.max_attempts = 1;
  const auto watch = Client::Connect(options)->WatchCalibration({});
  std::jthread cancel([&] {
    absl::SleepFor(absl::Seconds(6));  // it gives up to connect after 5 s, and finds out why for 2 s
    watch->Cancel();
  });
  const auto reports = watch->Next();
  ASSERT_TRUE(reports.ok()) << reports.status();
  EXPECT_FALSE(reports->has_value());
}

TEST(ClientTest, AStreamToNobodyAnswersEveryRequestWithTheError) {
  int answers = 0;
  const auto stream =
      Nowhere().OpenPredictStream({}, [&](int64_t sequence, absl::StatusOr<PredictResponse> answer) {
        EXPECT_EQ(sequence, 7);
        EXPECT_TRUE(IsUnreachable(answer.status())) << answer.status();
        ++answers;
      });
  ASSERT_TRUE(stream->Send(7, {}).ok());
  EXPECT_TRUE(IsUnreachable(stream->Finish()));
  EXPECT_EQ(answers, 1);
  EXPECT_FALSE(stream->Send(8, {}).ok());
}

TEST(ClientTest, AStreamRefusesABatchThatTheServerWouldEndItFor) {
  const auto stream = Nowhere().OpenFeedbackStream({}, [](int64_t, const auto&) { FAIL(); });
  for (const size_t items : {0, 10'001}) {
    const absl::Status status = stream->Send(1, std::vector<Feedback>(items));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr("must be 1 to 10000; were " + std::to_string(items)));
  }
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(ClientTest, AWatchIsCancelledWhileItWaits) {
  const auto watch = Nowhere().WatchCalibration({});
  watch->Cancel();
  const auto reports = watch->Next();
  ASSERT_TRUE(reports.ok()) << reports.status();
  EXPECT_FALSE(reports->has_value());
}

TEST(ClientTest, RefusesAnUploadWithoutALabelForEveryRow) {
  const std::vector<float> logits(6);
  const std::vector<int32_t> labels(2);
  FitRequest request;
  request.data = UploadedLogits{LogitsView(absl::MakeConstSpan(logits), 2), labels};
  EXPECT_THAT(Nowhere().FitCalibrator(request).status().message(), HasSubstr("3 rows, 2 labels"));
}

TEST(ClientTest, TensorsHoldTheirBytes) {
  const Tensor tensor = Tensor::Float32({1, 2}, {1.0f, -2.0f});
  EXPECT_EQ(tensor.data, std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8));
  EXPECT_EQ(Tensor::Uint8({2}, {1, 255}).data, "\x01\xff");
}

}  // namespace
}  // namespace calserve::client
