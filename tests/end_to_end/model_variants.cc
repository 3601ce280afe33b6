#include "tests/end_to_end/model_variants.h"

#include <torch/script.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "tests/end_to_end/server_process.h"

namespace calserve::e2e {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kClasses = 10;

}  // namespace

void WriteDemoVariant(const std::string& path, float shift) {
  torch::jit::Module module = torch::jit::load(DemoModels() + "/fashion_mnist/1/model.pt");
  const torch::NoGradGuard no_grad;
  bool shifted = false;
  for (const auto& parameter : module.named_parameters()) {
    // The bias of the last layer has a value a class.
    if (parameter.value.dim() != 1 || parameter.value.size(0) != kClasses) continue;
    parameter.value[0] += shift;
    shifted = true;
  }
  if (!shifted) throw std::runtime_error("the demo model has no bias of its last layer");
  module.save(path);
}

VariantRepository::VariantRepository(const std::string& directory) : directory_(directory) {
  fs::create_directories(model_path());
  fs::copy(DemoModels() + "/fashion_mnist/labels.txt", model_path() + "/labels.txt");
  WriteYaml("");
  AddVersion(1, 0);
}

std::string VariantRepository::path() const { return directory_ + "/models"; }
std::string VariantRepository::model_path() const { return path() + "/fashion_mnist"; }

void VariantRepository::WriteYaml(const std::string& lines) const {
  const std::string staged = directory_ + "/model.yaml";
  fs::copy(DemoModels() + "/fashion_mnist/model.yaml", staged, fs::copy_options::overwrite_existing);
  std::ofstream(staged, std::ios::app) << lines;
  fs::rename(staged, model_path() + "/model.yaml");
}

void VariantRepository::SwapFirstLabels() const {
  std::string first, second;
  std::ifstream old(model_path() + "/labels.txt");
  std::getline(old, first);
  std::getline(old, second);
  const std::string staged = directory_ + "/labels.txt";
  std::ofstream(staged) << second << "\n" << first << "\n" << old.rdbuf();
  fs::rename(staged, model_path() + "/labels.txt");
}

void VariantRepository::AddVersion(int64_t version, float shift, const std::string& calibrator_json) const {
  const std::string staged = Staged();
  WriteDemoVariant(staged + "/model.pt", shift);
  if (!calibrator_json.empty()) std::ofstream(staged + "/calibrator.json") << calibrator_json;
  Place(staged, version);
}

void VariantRepository::AddBrokenVersion(int64_t version, const std::string& text) const {
  const std::string staged = Staged();
  std::ofstream(staged + "/model.pt") << text;
  Place(staged, version);
}

void VariantRepository::RemoveVersion(int64_t version) const {
  fs::remove_all(model_path() + "/" + std::to_string(version));
}

void VariantRepository::WriteFile(int64_t version, const std::string& name, const std::string& text) const {
  const fs::path file = fs::path(model_path()) / std::to_string(version) / name;
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

std::string VariantRepository::Staged() const {
  const std::string staged = directory_ + "/staged";
  fs::remove_all(staged);
  fs::create_directories(staged);
  return staged;
}

void VariantRepository::Place(const std::string& staged, int64_t version) const {
  fs::rename(staged, model_path() + "/" + std::to_string(version));
}

}  // namespace calserve::e2e
