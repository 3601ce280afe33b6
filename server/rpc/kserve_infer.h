#ifndef CALSERVE_SERVER_RPC_KSERVE_INFER_H_
#define CALSERVE_SERVER_RPC_KSERVE_INFER_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "inference/grpc_service.pb.h"
#include "server/prediction/predictor.h"
#include "server/rpc/kserve_parameters.h"
#include "server/rpc/tensors_in_place.h"

namespace calserve::kserve {

// One ModelInfer over Predictor, as the unary and the streaming rpc do it. Thread-safe.
class Inference final {
 public:
  using Done = absl::AnyInvocable<void(absl::Status) &&>;

  // `predictor` outlives this.
  explicit Inference(Predictor& predictor) : predictor_(predictor) {}

  // Calls done exactly once, on this thread or as Predictor::Predict does; on OK `response` is written.
  // `request`, which was `received` before it was parsed, its large `tensors` and `response` must stay until
  // then.
  void Infer(Rpc rpc, const inference::ModelInferRequest& request, const TensorsInPlace& tensors,
             absl::Time received, absl::Time deadline, std::shared_ptr<const CancelFlag> cancel,
             inference::ModelInferResponse* response, Done done);
  // A call that is refused without looking at it.
  void CountUnserved(Rpc rpc, absl::StatusCode code) { predictor_.CountUnserved(rpc, code); }

 private:
  absl::StatusOr<Predictor::Choice> Choose(const inference::ModelInferRequest& request,
                                           const RequestParameters& parameters) const;

  Predictor& predictor_;
};

}  // namespace calserve::kserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_INFER_H_
