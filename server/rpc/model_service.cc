#include "server/rpc/model_service.h"

#include <utility>
#include <vector>

#include "server/rpc/calibration_convert.h"
#include "server/rpc/page.h"
#include "server/rpc/unary_call.h"

namespace calserve {

std::vector<v1::Model> ModelService::Models() const {
  std::vector<v1::Model> models;
  for (const Snapshot& snapshot : table_.List()) {
    const ServedModel& served = *snapshot.model;
    if (models.empty() || models.back().name() != served.name) {
      v1::Model& model = models.emplace_back();
      model.set_name(served.name);
      model.set_task(served.binary ? "binary" : "multiclass");
      model.set_input_kind(served.preprocessor.has_value() ? "image" : "tensor");
      model.mutable_input_shape()->Add(served.input_shape.begin(), served.input_shape.end());
      model.mutable_labels()->Add(served.labels.begin(), served.labels.end());
      model.set_max_batch_size(served.max_batch_size);
    }
    v1::ModelVersion& version = *models.back().add_versions();
    version.set_version(served.version);
    version.set_state(v1::MODEL_STATE_READY);
    version.set_format(served.model->format());
    version.set_device(served.model->device());
    version.set_digest(served.model->digest());
    *version.mutable_active_calibrator() = ToProto(registry_.Active(served.name, served.version));
  }
  return models;
}

grpc::ServerUnaryReactor* ModelService::ListModels(grpc::CallbackServerContext*,
                                                   const v1::ListModelsRequest* request,
                                                   v1::ListModelsResponse* response) {
  auto* call = new UnaryCall(calls_);
  if (!call->accepted()) return call;
  std::vector<v1::Model> models = Models();
  const absl::StatusOr<Page> page = PageOf(models.size(), request->page_size(), request->page_token());
  if (page.ok()) {
    for (size_t i = page->begin; i < page->end; ++i) *response->add_models() = std::move(models[i]);
    response->set_next_page_token(page->next_token);
  }
  call->Reply(page.status());
  return call;
}

grpc::ServerUnaryReactor* ModelService::GetModel(grpc::CallbackServerContext*,
                                                 const v1::GetModelRequest* request,
                                                 v1::GetModelResponse* response) {
  auto* call = new UnaryCall(calls_);
  if (!call->accepted()) return call;
  const absl::Status found = table_.Find(request->model(), 0).status();
  for (v1::Model& model : Models()) {
    if (model.name() == request->model()) *response->mutable_model() = std::move(model);
  }
  call->Reply(found);
  return call;
}

}  // namespace calserve
