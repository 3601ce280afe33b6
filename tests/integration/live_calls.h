#ifndef CALSERVE_TESTS_INTEGRATION_LIVE_CALLS_H_
#define CALSERVE_TESTS_INTEGRATION_LIVE_CALLS_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "calserve/v1/calibration.grpc.pb.h"
#include "calserve/v1/feedback.grpc.pb.h"
#include "calserve/v1/model.grpc.pb.h"
#include "calserve/v1/prediction.grpc.pb.h"
#include "calserve/v1/server.grpc.pb.h"
#include "inference/grpc_service.grpc.pb.h"

namespace calserve::integration {

inline constexpr int kClasses = 4;

struct Stubs {
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : prediction(v1::PredictionService::NewStub(channel)),
        feedback(v1::FeedbackService::NewStub(channel)),
        calibration(v1::CalibrationService::NewStub(channel)),
        models(v1::ModelService::NewStub(channel)),
        server(v1::ServerService::NewStub(channel)),
        kserve(inference::GRPCInferenceService::NewStub(channel)) {}
  std::unique_ptr<v1::PredictionService::Stub> prediction;
  std::unique_ptr<v1::FeedbackService::Stub> feedback;
  std::unique_ptr<v1::CalibrationService::Stub> calibration;
  std::unique_ptr<v1::ModelService::Stub> models;
  std::unique_ptr<v1::ServerService::Stub> server;
  std::unique_ptr<inference::GRPCInferenceService::Stub> kserve;
};

// One whole call with a good request or one that is refused.
enum class Kind { kGood, kBad };
struct Call {
  Stubs& stubs;
  grpc::ClientContext& context;
  Kind kind;
  std::string ticket;  // a good one

  const char* model() const { return kind == Kind::kGood ? "puppet" : "muppet"; }
};

// How an rpc ends where it is not the same for all.
struct Rpc {
  std::string name;
  std::function<grpc::Status(Call&)> run;
  bool can_be_held =
      true;  // with model, store and repository; else it is answered on the thread that reads it
  grpc::StatusCode good = grpc::StatusCode::OK;
  grpc::StatusCode bad = grpc::StatusCode::NOT_FOUND;
  grpc::StatusCode drained = grpc::StatusCode::OK;  // under way when the drain began
  bool detaches = false;                            // once cancelled it is gone, and what it began goes on
  bool in_a_drain = false;  // it has no call object and is answered as ever while the server drains
};

template <typename Service, typename Request, typename Response>
grpc::Status Unary(Service& service,
                   grpc::Status (Service::*method)(grpc::ClientContext*, const Request&, Response*),
                   Call& call, const Request& request) {
  Response response;
  return (service.*method)(&call.context, request, &response);
}

template <typename Response, typename Stream>
grpc::Status ReadToTheEnd(Stream& stream) {
  Response response;
  while (stream.Read(&response)) {
  }
  return stream.Finish();
}

// One input for the puppet model.
void FillInput(v1::Input* input);
// The only success of a watch: it was read, and the client goes.
grpc::Status WatchOneReport(Call& call);

// Every rpc of calserve.v1.
std::vector<Rpc> CalserveRpcs();
// Every rpc of KServe v2.
std::vector<Rpc> KserveRpcs();

}  // namespace calserve::integration

#endif  // CALSERVE_TESTS_INTEGRATION_LIVE_CALLS_H_
