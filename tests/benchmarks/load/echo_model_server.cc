// The least that a server can do: echo_server's blocking answer, but the model runs on every request before.
// Each thread reads what has arrived, runs it as one batch, answers, and begins again: nothing is handed
// over, and there is no queue, deadline, calibrator, ticket or metric. What calserve-server adds is measured
// beside it.
//
//   echo_model_server RESPONSE_FILE MODEL_FILE CLASSES INSTANCES SHAPE...
//
// INSTANCES threads, each with an instance of the model of one intra-op thread.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "calserve/v1/prediction.grpc.pb.h"
#include "server/base/gathered_writes.h"
#include "server/model/model.h"
#include "tests/benchmarks/load/bare_model.h"

namespace {

using calserve::v1::PredictionService;
using calserve::v1::PredictRequest;
using calserve::v1::PredictResponse;

constexpr int kMostRows = 32;

// A call from its request to the end of its answer, which deletes it.
struct Call {
  Call(PredictionService::AsyncService& service, grpc::ServerCompletionQueue& queue) {
    service.RequestPredict(&context, &request, &writer, &queue, &queue, this);
  }
  grpc::ServerContext context;
  PredictRequest request;
  grpc::ServerAsyncResponseWriter<PredictResponse> writer{&context};
  bool answered = false;
};

class Server {
 public:
  Server(PredictResponse response, calserve::Model& model) : response_(std::move(response)), model_(model) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    queue_ = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
    for (int i = 0; i < 2 * kMostRows; ++i) new Call(service_, *queue_);
  }
  int port() const { return port_; }

  // Until the process is killed.
  void Serve(int instance) {
    std::vector<float> logits(static_cast<size_t>(kMostRows) * model_.columns());
    while (true) {
      const std::vector<Call*> batch = Read();
      float* row = model_.Staging(instance, 0).data();
      for (const Call* const call : batch) {
        const std::string& data = call->request.inputs(0).tensor().data();
        std::memcpy(row, data.data(), data.size());
        row += data.size() / sizeof(float);
      }
      const int rows = static_cast<int>(batch.size());
      if (!model_.Run(instance, rows, absl::MakeSpan(logits).first(rows * model_.columns())).ok())
        std::exit(1);
      const calserve::GatheredWrites together;
      for (Call* const call : batch) {
        call->answered = true;
        call->writer.Finish(response_, grpc::Status::OK, call);
      }
    }
  }

 private:
  // All requests that are there, at least one.
  std::vector<Call*> Read() {
    std::vector<Call*> batch;
    while (batch.size() < kMostRows) {
      void* tag = nullptr;
      bool ok = false;
      if (batch.empty()) {
        if (!queue_->Next(&tag, &ok)) std::exit(1);
      } else if (queue_->AsyncNext(&tag, &ok, std::chrono::system_clock::time_point()) !=
                 grpc::CompletionQueue::GOT_EVENT) {
        break;
      }
      auto* const call = static_cast<Call*>(tag);
      if (call->answered || !ok) {
        delete call;
      } else {
        new Call(service_, *queue_);
        batch.push_back(call);
      }
    }
    return batch;
  }

  const PredictResponse response_;
  calserve::Model& model_;
  PredictionService::AsyncService service_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  PredictResponse response;
  std::ifstream file(argc > 5 ? argv[1] : "");
  if (!response.ParseFromIstream(&file)) {
    std::cerr << "usage: echo_model_server RESPONSE_FILE MODEL_FILE CLASSES INSTANCES SHAPE...\n";
    return 2;
  }
  const int instances = std::atoi(argv[4]);
  const auto model = calserve::load::LoadBareModel(
      {.file = argv[2], .classes = std::atoi(argv[3]), .instances = instances, .max_batch_size = kMostRows},
      argv + 5, argv + argc);
  Server server(response, *model);
  std::vector<std::jthread> threads;
  for (int i = 0; i < instances; ++i) threads.emplace_back([&server, i] { server.Serve(i); });
  std::cerr << "serving address=127.0.0.1:" << server.port() << std::endl;
}
