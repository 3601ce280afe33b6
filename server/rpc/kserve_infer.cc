#include "server/rpc/kserve_infer.h"

#include <utility>
#include <vector>

#include "server/rpc/kserve_inputs.h"
#include "server/rpc/kserve_models.h"
#include "server/rpc/kserve_outputs.h"

namespace calserve::kserve {

void Inference::Infer(const inference::ModelInferRequest& request, absl::Time deadline,
                      std::shared_ptr<const CancelFlag> cancel, inference::ModelInferResponse* response,
                      Done done) {
  const absl::StatusOr<Snapshot> snapshot = FindModel(table_, request.model_name(), request.model_version());
  if (!snapshot.ok()) return std::move(done)(snapshot.status());
  const ServedModel& model = *snapshot->model;
  absl::StatusOr<std::vector<RequestedOutput>> outputs = ReadOutputs(request, model);
  if (!outputs.ok()) return std::move(done)(outputs.status());
  absl::StatusOr<InputRows> input = ReadInput(request, model);
  if (!input.ok()) return std::move(done)(input.status());

  PredictionRequest values;
  values.model = model.name;
  values.model_version = model.version;
  values.inputs = std::move(input->rows);
  values.deadline = deadline;
  values.cancel = std::move(cancel);
  Ask(*outputs, values);
  response->set_id(request.id());
  predictor_.Predict(std::move(values), [outputs = *std::move(outputs), response, done = std::move(done)](
                                            absl::StatusOr<PredictionResponse> prediction) mutable {
    if (prediction.ok()) WriteResponse(*prediction, outputs, *response);
    std::move(done)(prediction.status());
  });
}

}  // namespace calserve::kserve
