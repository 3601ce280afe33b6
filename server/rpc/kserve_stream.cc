#include "server/rpc/kserve_stream.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/base/error_info.h"
#include "server/rpc/stream_pipe.h"
#include "server/rpc/unary_call.h"

namespace calserve::kserve {
namespace {

using inference::ModelInferRequest;
using inference::ModelStreamInferResponse;

// Requests of one stream between read and answered; enough to keep the largest batches full.
constexpr int kStreamWindow = 128;

bool WantsStatus(const grpc::CallbackServerContext& context) {
  const auto found = context.client_metadata().find("triton_grpc_error");
  return found != context.client_metadata().end() && found->second == "true";
}

class InferStream final : public StreamPipe<ModelInferRequest, ModelStreamInferResponse> {
 public:
  InferStream(Inference& inference, CallTracker& calls, Admission admission, absl::Time deadline,
              bool ends_with_error)
      : StreamPipe(calls, std::move(admission), Order::kOfRequests, kStreamWindow, WhenFull::kRefuse),
        inference_(inference),
        deadline_(deadline),
        ends_with_error_(ends_with_error) {
    Start();
  }

 private:
  void Handle(std::unique_ptr<ModelInferRequest> request, const TensorsInPlace& tensors, absl::Time received,
              Answer answer) override {
    auto response = std::make_unique<ModelStreamInferResponse>();
    const ModelInferRequest& asked = *request;
    inference::ModelInferResponse* const filled = response->mutable_infer_response();
    inference_.Infer(Rpc::kModelStreamInfer, asked, tensors, received, deadline_, cancel(), filled,
                     [this, request = std::move(request), response = std::move(response),
                      answer = std::move(answer)](const absl::Status& status) {
                       if (status.ok()) {
                         // Of clients that know models with several answers a request: this is the last.
                         (*response->mutable_infer_response()->mutable_parameters())["triton_final_response"]
                             .set_bool_param(true);
                       } else {
                         if (!ends_with_error_) MessageFailed(status);
                         return Refuse(*request, status, answer);
                       }
                       answer(std::move(*response));
                     });
  }

  void Refuse(const ModelInferRequest& request, const absl::Status& why, Answer answer) override {
    if (ends_with_error_) return answer(why);
    ModelStreamInferResponse response;
    response.mutable_infer_response()->set_id(request.id());
    if (const std::optional<absl::Duration> wait = ErrorRetryAfter(why); wait.has_value()) {
      (*response.mutable_infer_response()->mutable_parameters())["retry_after_ms"].set_int64_param(
          absl::ToInt64Milliseconds(absl::Ceil(*wait, absl::Milliseconds(1))));
    }
    // The code has no field of its own.
    response.set_error_message(
        absl::StrCat(absl::StatusCodeToString(why.code()), ": ", ToFailure(why).message()));
    answer(std::move(response));
  }

  Inference& inference_;
  const absl::Time deadline_;
  const bool ends_with_error_;
};

}  // namespace

ByteStream* NewStream(Inference& inference, CallTracker& calls, Admission admission,
                      const grpc::CallbackServerContext& context) {
  return new InferStream(inference, calls, std::move(admission), Deadline(context), WantsStatus(context));
}

}  // namespace calserve::kserve
