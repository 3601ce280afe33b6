#include "tests/benchmarks/load/one_model_server.h"

#include <random>
#include <stdexcept>

#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"

namespace calserve::load {
namespace {

v1::PredictRequest RandomRequest(const v1::Model& model) {
  v1::PredictRequest request;
  request.set_model(e2e::kModel);
  v1::Tensor& tensor = *request.add_inputs()->mutable_tensor();
  *tensor.mutable_shape() = model.input_shape();
  int64_t size = 1;
  for (const int64_t dimension : model.input_shape()) size *= dimension;
  std::vector<float> values(size);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (float& value : values) value = normal(random);
  tensor.set_data(values.data(), values.size() * sizeof(float));
  return request;
}

}  // namespace

OneModelServer::OneModelServer(const std::filesystem::path& model_directory,
                               const std::vector<std::string>& flags) {
  const std::string repository = scratch_ / "models";
  std::filesystem::create_directory(repository);
  std::filesystem::create_directory_symlink(std::filesystem::canonical(model_directory),
                                            repository + "/" + e2e::kModel);
  process_ = std::make_unique<e2e::ServerProcess>(e2e::ServerFlags{.model_repository = repository,
                                                                   .data_dir = scratch_ / "data",
                                                                   .admin_listen = "127.0.0.1:0",
                                                                   .more = flags});
  if (!process_->WaitUntilServing()) throw std::runtime_error(process_->log());
  const auto reply = e2e::Api(address()).GetModel(e2e::kModel);
  if (!reply.ok()) throw std::runtime_error(reply.status.message);
  model_ = reply->model();
  request_ = RandomRequest(model_);
}

}  // namespace calserve::load
