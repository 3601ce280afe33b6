#include "tests/benchmarks/load/one_model_server.h"

#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/end_to_end/api.h"
#include "tests/end_to_end/scenario.h"

namespace calserve::load {

v1::PredictRequest RandomRequest(const v1::Model& model) {
  v1::PredictRequest request;
  request.set_model(model.name());
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

namespace {

v1::PredictRequest PhotoRequest(const std::string& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  if (bytes.str().empty()) throw std::runtime_error("cannot read " + path);
  return e2e::ImageRequest({bytes.str()});
}

}  // namespace

ModelArguments ModelArguments::Parse(int argc, char** argv, const std::string& default_model,
                                     const char* usage) {
  ModelArguments arguments{.model = default_model, .rest = {argv + 1, argv + argc}};
  std::vector<std::string>& rest = arguments.rest;
  const auto take = [&rest, usage] {
    if (rest.empty()) throw std::runtime_error(usage);
    const std::string first = rest.front();
    rest.erase(rest.begin());
    return first;
  };
  if (!rest.empty() && rest.front() == "--photo") {
    take();
    arguments.photo = take();
  }
  if (!rest.empty() || default_model.empty()) arguments.model = take();
  arguments.model = std::filesystem::canonical(arguments.model);
  return arguments;
}

OneModelServer::OneModelServer(const ModelArguments& arguments, const std::vector<std::string>& flags) {
  const std::string repository = scratch_ / "models";
  std::filesystem::create_directory(repository);
  std::filesystem::create_directory_symlink(arguments.model, repository + "/" + e2e::kModel);
  process_ = std::make_unique<e2e::ServerProcess>(e2e::ServerFlags{.model_repository = repository,
                                                                   .data_dir = scratch_ / "data",
                                                                   .admin_listen = "127.0.0.1:0",
                                                                   .more = flags});
  if (!process_->WaitUntilServing()) throw std::runtime_error(process_->log());
  const auto reply = e2e::Api(address()).GetModel(e2e::kModel);
  if (!reply.ok()) throw std::runtime_error(reply.status.message);
  model_ = reply->model();
  request_ = arguments.photo.empty() ? RandomRequest(model_) : PhotoRequest(arguments.photo);
}

std::string OneModelServer::InputText() const {
  const v1::Input& input = request_.inputs(0);
  if (input.has_encoded_image()) return absl::StrCat("image file (", input.encoded_image().size(), " bytes)");
  return absl::StrCat(absl::StrJoin(model_.input_shape(), "×"), " float tensor (",
                      input.tensor().data().size(), " bytes)");
}

}  // namespace calserve::load
