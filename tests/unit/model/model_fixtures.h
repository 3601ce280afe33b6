#ifndef CALSERVE_TESTS_UNIT_MODEL_MODEL_FIXTURES_H_
#define CALSERVE_TESTS_UNIT_MODEL_MODEL_FIXTURES_H_

#include <string>

#include "server/model/model.h"

namespace calserve {

inline std::string SourcePath(const std::string& path) { return std::string(CALSERVE_SOURCE_DIR "/") + path; }
inline std::string ModelFixture(const std::string& path) {
  return SourcePath("tests/fixtures/models/" + path);
}
inline std::string DemoTorchScript() {
  return SourcePath("examples/fashion_mnist/models/fashion_mnist/1/model.pt");
}
inline std::string DemoPackage() { return ModelFixture("fashion_mnist_pt2/1/model.pt2"); }

// Options for a Fashion-MNIST model on the CPU.
inline ModelOptions OptionsFor(std::string path, int classes = 10) {
  ModelOptions options;
  options.name = "fashion_mnist";
  options.version = 1;
  options.path = std::move(path);
  options.input_shape = {1, 28, 28};
  options.classes = classes;
  options.device = "cpu";
  return options;
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_MODEL_MODEL_FIXTURES_H_
