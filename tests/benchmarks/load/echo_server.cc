// The bare gRPC server that the served model is measured beside: PredictionService on the callback API, whose
// Predict reads its request and answers every one with the same response.
//
//   echo_server RESPONSE_FILE
#include <grpcpp/grpcpp.h>

#include <fstream>
#include <iostream>
#include <string>

#include "calserve/v1/prediction.grpc.pb.h"

namespace {

using calserve::v1::PredictRequest;
using calserve::v1::PredictResponse;

class EchoService final : public calserve::v1::PredictionService::CallbackService {
 public:
  explicit EchoService(PredictResponse response) : response_(std::move(response)) {}

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

}  // namespace

int main(int argc, char** argv) {
  PredictResponse response;
  std::ifstream file(argc == 2 ? argv[1] : "");
  if (!response.ParseFromIstream(&file)) {
    std::cerr << "usage: echo_server RESPONSE_FILE\n";
    return 2;
  }
  EchoService service(response);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  std::cerr << "serving address=127.0.0.1:" << port << std::endl;
  server->Wait();  // Until it is killed.
}
