#include "server/prediction/served_version.h"

#include <utility>
#include <vector>

#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/model/file_digest.h"

namespace calserve {

absl::StatusOr<std::shared_ptr<ServedModel>> LoadServedModel(const ServedModelOptions& options) {
  auto served = std::make_shared<ServedModel>();
  served->name = options.model.name;
  served->version = options.model.version;
  served->binary = options.binary;
  served->labels = options.labels;
  for (const std::string& label : served->labels) {
    served->label_bytes += static_cast<int64_t>(label.size());
  }
  served->attribute_keys = options.attribute_keys;
  served->tensor_names = options.tensor_names;
  served->input_shape = options.model.input_shape;
  served->input_size = 1;
  for (const int64_t dimension : served->input_shape) served->input_size *= dimension;
  served->max_batch_size = options.model.max_batch_size;
  if (options.image.has_value()) {
    ASSIGN_OR_RETURN(served->preprocessor, Preprocessor::Create(*options.image, options.limits));
  }
  ASSIGN_OR_RETURN(served->model, LoadModel(options.model));
  served->digest = VersionDigest(served->model->digest(), served->labels);
  return served;
}

namespace {

// LoadModel has warmed every instance at every size, on threads that are gone. What a thread of its own costs
// beyond that on the CPU it costs at its first forward pass, whatever its rows
// (docs/adr/2026-11-25-repository-of-versions.md).
absl::Status PrepareThread(Model& model, int instance) {
  for (const int rows : model.sizes_of_each_thread()) {
    std::vector<float> logits(static_cast<size_t>(rows) * model.columns());
    for (int slot = 0; slot < model.slots(); ++slot) {
      RETURN_IF_ERROR(model.Start(instance, slot, rows));
      const absl::Status ran = model.Finish(instance, slot, rows, absl::MakeSpan(logits));
      if (!absl::IsDataLoss(ran)) RETURN_IF_ERROR(ran);  // What staging holds is no input.
    }
  }
  return absl::OkStatus();
}

}  // namespace

BatchRunner RunnerOf(Model& model, int64_t row_size, const DeviceLostHook& device_lost) {
  Model* const runs = &model;
  const auto told = [device_lost](absl::Status status) {
    if (ErrorReason(status) == kDeviceLost && device_lost != nullptr) device_lost(status);
    return status;
  };
  BatchRunner runner;
  runner.slots = runs->slots();
  runner.any_thread = [runs] { return runs->any_thread(); };
  runner.staging = [runs](int instance, int slot) { return runs->Staging(instance, slot); };
  runner.start = [runs, told](int instance, int slot, int rows) {
    return told(runs->Start(instance, slot, rows));
  };
  runner.finish = [runs, told](int instance, int slot, int rows, absl::Span<float> logits) {
    return told(runs->Finish(instance, slot, rows, logits));
  };
  runner.prepare = [runs, told](int instance) { return told(PrepareThread(*runs, instance)); };
  runner.on_device = runs->device() != "cpu";
  runner.row_size = row_size;
  runner.columns = runs->columns();
  return runner;
}

absl::Status ServedVersion::Publish() {
  BatchRunner runner = RunnerOf(*model_->model, model_->input_size, device_lost_);
  runner.turns = turns_;
  runner.model = model_->name;
  ASSIGN_OR_RETURN(model_->batcher, Batcher::Create(batching_, std::move(runner)));
  return publish_(model_);
}

void ServedVersion::Withdraw() { table_.Withdraw(model_->name, model_->version); }

void ServedVersion::Stop() {
  if (model_->batcher != nullptr) model_->batcher->Stop();
}

}  // namespace calserve
