// The bare gRPC server that the served model is measured beside: PredictionService, whose Predict reads its
// request and answers every one with the same response, on gRPC's callback API or on its synchronous one.
//
//   echo_server callback|blocking RESPONSE_FILE
#include <grpcpp/grpcpp.h>

#include <fstream>
#include <iostream>
#include <string>

#include "calserve/v1/prediction.grpc.pb.h"

namespace {

using calserve::v1::PredictRequest;
using calserve::v1::PredictResponse;

class CallbackEcho final : public calserve::v1::PredictionService::CallbackService {
 public:
  explicit CallbackEcho(PredictResponse response) : response_(std::move(response)) {}

  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context, const PredictRequest*,
                                    PredictResponse* response) override {
    *response = response_;
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  const PredictResponse response_;
};

class BlockingEcho final : public calserve::v1::PredictionService::Service {
 public:
  explicit BlockingEcho(PredictResponse response) : response_(std::move(response)) {}

  grpc::Status Predict(grpc::ServerContext*, const PredictRequest*, PredictResponse* response) override {
    *response = response_;
    return grpc::Status::OK;
  }

 private:
  const PredictResponse response_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string calls = argc == 3 ? argv[1] : "";
  PredictResponse response;
  std::ifstream file(argc == 3 ? argv[2] : "");
  if ((calls != "callback" && calls != "blocking") || !response.ParseFromIstream(&file)) {
    std::cerr << "usage: echo_server callback|blocking RESPONSE_FILE\n";
    return 2;
  }
  CallbackEcho callback_echo(response);
  BlockingEcho blocking_echo(response);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  if (calls == "callback") {
    builder.RegisterService(&callback_echo);
  } else {
    builder.RegisterService(&blocking_echo);
  }
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  std::cerr << "serving address=127.0.0.1:" << port << std::endl;
  server->Wait();  // Until it is killed.
}
