#ifndef CALSERVE_SERVER_PREDICTION_SERVED_VERSION_H_
#define CALSERVE_SERVER_PREDICTION_SERVED_VERSION_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/batching/batcher.h"
#include "server/imaging/decoder.h"
#include "server/imaging/image_input_spec.h"
#include "server/model/loaded_version.h"
#include "server/model/model.h"
#include "server/prediction/serving_table.h"
#include "server/prediction/tensor_names.h"
#include "server/prediction/warm_up_sample.h"

namespace calserve {

// What one version is to be served with.
struct ServedModelOptions {
  ModelOptions model;
  bool binary = false;
  std::vector<std::string> labels;
  std::vector<std::string> attribute_keys;
  TensorNames tensor_names;
  std::optional<ImageInputSpec> image;  // for image input
  DecodeLimits limits;
  BatchingOptions batching;  // instances and max_batch_size as in `model`
};

// Told that a device does not answer any more (kDeviceLost), from an instance's thread or the one that loads,
// once for each batch that finds it so. Must not wait.
using DeviceLostHook = std::function<void(const absl::Status& status)>;

// How a batcher runs `model`, which outlives it. Before an instance's thread takes work it runs every one of
// sizes_of_each_thread, in every slot. `device_lost` may be null.
BatchRunner RunnerOf(Model& model, int64_t row_size, const DeviceLostHook& device_lost);

// Loads and warms the model; its batcher is not started. Errors as LoadModel's.
absl::StatusOr<std::shared_ptr<ServedModel>> LoadServedModel(const ServedModelOptions& options);

// A loaded model as the repository handles it: Publish starts the batcher's threads, at the priority of the
// thread that publishes, and hands the model to `publish`, which puts it into `table` with its calibrator.
class ServedVersion final : public LoadedVersion {
 public:
  using PublishHook = std::function<absl::Status(std::shared_ptr<const ServedModel>)>;

  // `table` outlives it. `turns` are those of the model's device; null: its batches wait for no other
  // model's.
  ServedVersion(std::shared_ptr<ServedModel> model, const BatchingOptions& batching,
                std::shared_ptr<DeviceTurns> turns, ServingTable& table, PublishHook publish,
                DeviceLostHook device_lost)
      : model_(std::move(model)),
        batching_(batching),
        turns_(std::move(turns)),
        table_(table),
        publish_(std::move(publish)),
        device_lost_(std::move(device_lost)) {}

  absl::Status Publish() override;
  void Withdraw() override;
  bool idle() const override { return model_.use_count() == 1; }
  void Stop() override;

 private:
  // Requests hold it too. When only this is left nobody can take another one from the table, so that the last
  // request never destroys a batcher from one of its own threads.
  const std::shared_ptr<ServedModel> model_;
  const BatchingOptions batching_;
  const std::shared_ptr<DeviceTurns> turns_;
  ServingTable& table_;
  const PublishHook publish_;
  const DeviceLostHook device_lost_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_SERVED_VERSION_H_
