// Calls that a server ends without details, as gRPC's own does with those that come while it shuts down.
#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calserve/v1/calibration.grpc.pb.h"
#include "calserve/v1/model.grpc.pb.h"
#include "client/client.h"
#include "client/errors.h"

namespace calserve::client {
namespace {

class EndingServer final : public v1::ModelService::Service, public v1::CalibrationService::Service {
 public:
  EndingServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(static_cast<v1::ModelService::Service*>(this));
    builder.RegisterService(static_cast<v1::CalibrationService::Service*>(this));
    server_ = builder.BuildAndStart();
  }
  ~EndingServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  std::atomic<int> ended = 0;  // so many calls get a bare CANCELLED
  std::atomic<int> calls = 0;

 private:
  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest*,
                          v1::ListModelsResponse*) override {
    ++calls;
    return ended-- > 0 ? grpc::Status::CANCELLED : grpc::Status::OK;
  }

  // Says that it goes on, until the client has enough.
  grpc::Status FitCalibrator(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::FitCalibratorResponse, v1::FitCalibratorRequest>* stream) override {
    ++calls;
    v1::FitCalibratorResponse response;
    response.mutable_progress()->set_stage("fit");
    while (!context->IsCancelled() && stream->Write(response)) {
    }
    return grpc::Status::CANCELLED;
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class EndingServerTest : public ::testing::Test {
 protected:
  Client Connect(int max_attempts) {
    return *Client::Connect({.target = server_.address(), .retry = {.max_attempts = max_attempts}});
  }

  EndingServer server_;
};

TEST_F(EndingServerTest, ACallThatItEndsIsMadeAgain) {
  server_.ended = 2;
  const absl::Status status = Connect(3).ListModels().status();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(server_.calls, 3);
}

TEST_F(EndingServerTest, OneThatItEndsEveryTimeIsUnavailable) {
  server_.ended = 2;
  const absl::Status status = Connect(2).ListModels().status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(IsUnreachable(status)) << status;
}

TEST_F(EndingServerTest, AFitThatItsCallerCancelsStaysCancelled) {
  FitRequest request;
  request.on_progress = [](const FitProgress&) { return false; };
  const absl::Status status = Connect(3).FitCalibrator(request).status();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(server_.calls, 1);
}

// The TCP_USER_TIMEOUTs, in ms, of this process's connections to a port.
std::vector<int> UserTimeouts(int port) {
  std::vector<int> timeouts;
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0 || ntohs(peer.sin_port) != port) {
      continue;
    }
    int timeout = 0;
    size = sizeof timeout;
    EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &size), 0);
    timeouts.push_back(timeout);
  }
  return timeouts;
}

// Without pings, what tells that a connection leads nowhere any more.
TEST_F(EndingServerTest, TheKernelBreaksAConnectionOnWhichNothingIsAcknowledged) {
  const Client client = Connect(1);
  ASSERT_TRUE(client.ListModels().ok());
  EXPECT_THAT(UserTimeouts(server_.port()), ::testing::ElementsAre(30'000));
}

}  // namespace
}  // namespace calserve::client
