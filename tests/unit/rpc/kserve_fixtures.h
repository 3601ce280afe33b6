#ifndef CALSERVE_TESTS_UNIT_RPC_KSERVE_FIXTURES_H_
#define CALSERVE_TESTS_UNIT_RPC_KSERVE_FIXTURES_H_

#include <memory>
#include <string>
#include <vector>

#include "server/prediction/serving_table.h"

namespace calserve::kserve {

// Where a model is and what it was made of; nothing runs it.
class DescribedModel final : public Model {
 public:
  DescribedModel(std::string format, std::string device, int instances)
      : format_(std::move(format)), device_(std::move(device)) {
    options_.instances = instances;
  }
  absl::Span<float> Staging(int, int) override { return {}; }
  absl::Status Start(int, int, int) override { return absl::InternalError("not run"); }
  absl::Status Finish(int, int, int, absl::Span<float>) override { return absl::InternalError("not run"); }
  int columns() const override { return options_.classes; }
  const ModelOptions& options() const override { return options_; }
  const std::string& format() const override { return format_; }
  const std::string& device() const override { return device_; }
  const std::string& digest() const override { return digest_; }

 private:
  const std::string format_, device_, digest_ = "00";
  ModelOptions options_;
};

// Version 3 of model "m" with three classes and at most 4 rows.
inline std::shared_ptr<ServedModel> TensorModel() {
  auto model = std::make_shared<ServedModel>();
  model->name = "m";
  model->version = 3;
  model->labels = {"cat", "dog", "ship"};
  model->input_shape = {2, 3};
  model->input_size = 6;
  model->max_batch_size = 4;
  model->model = std::make_unique<DescribedModel>("torchscript", "cpu", 2);
  return model;
}

// The same for images of 2 × 3 pixels, grey.
inline std::shared_ptr<ServedModel> ImageModel() {
  auto model = TensorModel();
  ImageInputSpec spec;
  spec.height = 2;
  spec.width = 3;
  spec.color = Color::kGrey;
  model->input_shape = {1, 2, 3};
  model->preprocessor = *Preprocessor::Create(spec, DecodeLimits());
  return model;
}

}  // namespace calserve::kserve

#endif  // CALSERVE_TESTS_UNIT_RPC_KSERVE_FIXTURES_H_
