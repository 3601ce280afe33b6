#include "server/rpc/model_service.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "server/rpc/calibration_convert.h"
#include "server/rpc/message_call.h"
#include "server/rpc/page.h"

namespace calserve {

namespace {

v1::ModelState ToProto(const VersionStatus& status) {
  switch (status.state) {
    case VersionState::kLoading:
      return v1::MODEL_STATE_LOADING;
    case VersionState::kReady:
      return v1::MODEL_STATE_READY;
    case VersionState::kUnloading:
      return v1::MODEL_STATE_UNLOADING;
    case VersionState::kUnavailable:
      return status.failed ? v1::MODEL_STATE_FAILED : v1::MODEL_STATE_UNAVAILABLE;
  }
  return v1::MODEL_STATE_UNSPECIFIED;
}

void FillModel(const ServedModel& served, v1::Model& model) {
  model.set_name(served.name);
  model.set_task(served.binary ? "binary" : "multiclass");
  model.set_input_kind(served.preprocessor.has_value() ? "image" : "tensor");
  model.mutable_input_shape()->Add(served.input_shape.begin(), served.input_shape.end());
  model.mutable_labels()->Add(served.labels.begin(), served.labels.end());
  model.set_max_batch_size(served.max_batch_size);
}

v1::ModelVersion& VersionOf(int64_t version, v1::Model& model) {
  for (v1::ModelVersion& known : *model.mutable_versions()) {
    if (known.version() == version) return known;
  }
  v1::ModelVersion& added = *model.add_versions();
  added.set_version(version);
  return added;
}

// What the repository knows beyond what serves.
void AddStatus(const ModelStatus& status, v1::Model& model) {
  model.set_name(status.name);
  model.set_reason(status.reason);
  for (const VersionRouting::Share& share : status.traffic) {
    v1::TrafficShare& out = *model.add_traffic();
    out.set_version_label(share.label);
    out.set_weight(share.weight);
  }
  for (const VersionStatus& version : status.versions) {
    v1::ModelVersion& out = VersionOf(version.version, model);
    // The table is the newer of the two: what it serves is ready.
    if (out.state() != v1::MODEL_STATE_READY) out.set_state(ToProto(version));
    out.set_reason(version.reason);
    out.mutable_version_labels()->Add(version.labels.begin(), version.labels.end());
  }
  std::sort(model.mutable_versions()->begin(), model.mutable_versions()->end(),
            [](const v1::ModelVersion& a, const v1::ModelVersion& b) { return a.version() > b.version(); });
}

}  // namespace

std::map<std::string, v1::Model> ModelService::Models() const {
  std::map<std::string, v1::Model> models;
  for (const Snapshot& snapshot : table_.List()) {
    const ServedModel& served = *snapshot.model;
    v1::Model& model = models[served.name];
    if (model.name().empty()) FillModel(served, model);
    v1::ModelVersion& version = VersionOf(served.version, model);
    version.set_state(v1::MODEL_STATE_READY);
    version.set_format(served.model->format());
    version.set_device(served.model->device());
    version.set_digest(served.model->digest());
    *version.mutable_active_calibrator() = calserve::ToProto(registry_.Active(served.name, served.version));
  }
  for (auto& [name, model] : models) {
    const absl::StatusOr<Snapshot> choice = table_.Find(name, 0);
    if (choice.ok()) model.set_default_version(choice->model->version);
  }
  if (repository_ == nullptr) return models;
  for (const ModelStatus& status : repository_->List()) AddStatus(status, models[status.name]);
  return models;
}

grpc::ServerUnaryReactor* ModelService::ListModels(grpc::CallbackServerContext* context,
                                                   const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) {
  using Call = MessageCall<v1::ListModelsRequest, v1::ListModelsResponse>;
  auto* call = new Call(calls_, gate_.Authorize(*context, method::kListModels), answer);
  if (!call->Read(bytes)) return call;
  const auto* const request = &call->request();
  std::vector<v1::Model> models;
  for (auto& [name, model] : Models()) models.push_back(std::move(model));
  absl::StatusOr<Page> page = PageOf(models.size(), request->page_size(), request->page_token());
  if (page.ok()) {
    FillPage<v1::Model>(
        *page, [&](size_t item) { return std::move(models[item]); }, *call->response().mutable_models());
    call->response().set_next_page_token(page->next_token);
  }
  call->Reply(page.status());
  return call;
}

grpc::ServerUnaryReactor* ModelService::GetModel(grpc::CallbackServerContext* context,
                                                 const grpc::ByteBuffer* bytes, grpc::ByteBuffer* answer) {
  using Call = MessageCall<v1::GetModelRequest, v1::GetModelResponse>;
  auto* call = new Call(calls_, gate_.Authorize(*context, method::kGetModel), answer);
  if (!call->Read(bytes)) return call;
  const auto* const request = &call->request();
  std::map<std::string, v1::Model> models = Models();
  const auto found = models.find(request->model());
  if (found == models.end()) {
    call->admission().About(request->model());
    call->Reply(table_.Find(request->model(), 0).status());
    return call;
  }
  if (const absl::StatusOr<Snapshot> served = table_.Find(request->model(), 0); served.ok()) {
    call->admission().About(*served->model);
  }
  *call->response().mutable_model() = std::move(found->second);
  call->Reply(absl::OkStatus());
  return call;
}

}  // namespace calserve
