#ifndef CALSERVE_TESTS_UNIT_RPC_LOOPBACK_SERVER_H_
#define CALSERVE_TESTS_UNIT_RPC_LOOPBACK_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace calserve {

// A gRPC server of one service, on a free port of the loopback interface.
class LoopbackServer {
 public:
  // `service` outlives it. Throws if there is no port.
  explicit LoopbackServer(grpc::Service& service) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) throw std::runtime_error("no gRPC server on the loopback interface");
  }

  std::shared_ptr<grpc::Channel> NewChannel() const {
    return grpc::CreateChannel("127.0.0.1:" + std::to_string(port_), grpc::InsecureChannelCredentials());
  }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_RPC_LOOPBACK_SERVER_H_
