#ifndef CALSERVE_TESTS_BENCHMARKS_LOAD_ONE_MODEL_SERVER_H_
#define CALSERVE_TESTS_BENCHMARKS_LOAD_ONE_MODEL_SERVER_H_

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "calserve/v1/model.pb.h"
#include "calserve/v1/prediction.pb.h"
#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::load {

// What a benchmark of one model is run with: [--photo FILE] MODEL_DIRECTORY, then what is left.
struct ModelArguments {
  std::filesystem::path model;
  std::string photo;  // an image file to send; empty: a tensor
  std::vector<std::string> rest;

  // `default_model` empty: it must be given, else it throws the usage.
  static ModelArguments Parse(int argc, char** argv, const std::string& default_model, const char* usage);
};

// One input of standard normal values, of the model's shape.
v1::PredictRequest RandomRequest(const v1::Model& model);

// calserve-server with one model directory, under the name that the tests' client asks for, and a store of
// its own.
class OneModelServer final {
 public:
  // Throws if the server does not get to serve.
  OneModelServer(const ModelArguments& arguments, const std::vector<std::string>& flags);

  e2e::ServerProcess& process() { return *process_; }
  const std::string& address() const { return process_->address(); }
  const v1::Model& model() const { return model_; }
  // One input: the photo, or a tensor of standard normal values.
  const v1::PredictRequest& request() const { return request_; }
  // "3×224×224 float tensor (602112 bytes)", "JPEG file (196653 bytes)".
  std::string InputText() const;
  const e2e::TempDir& scratch() const { return scratch_; }

 private:
  e2e::TempDir scratch_;
  std::unique_ptr<e2e::ServerProcess> process_;
  v1::Model model_;
  v1::PredictRequest request_;
};

}  // namespace calserve::load

#endif  // CALSERVE_TESTS_BENCHMARKS_LOAD_ONE_MODEL_SERVER_H_
