#ifndef CALSERVE_TESTS_BENCHMARKS_LOAD_BARE_MODEL_H_
#define CALSERVE_TESTS_BENCHMARKS_LOAD_BARE_MODEL_H_

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "server/model/model.h"

namespace calserve::load {

struct BareModel {
  std::string file;
  int classes = 0;
  int instances = 1;
  int max_batch_size = 1;
  int intra_op_threads = 1;
};

// A model file with no server around it; [shape, end) are the dimensions of one input, as arguments. Ends the
// program with a message if it cannot be loaded.
inline std::unique_ptr<Model> LoadBareModel(const BareModel& bare, char** shape, char** end) {
  ModelOptions options;
  options.name = "bare";
  options.version = 1;
  options.path = bare.file;
  options.classes = bare.classes;
  options.instances = bare.instances;
  options.max_batch_size = bare.max_batch_size;
  for (; shape != end; ++shape) options.input_shape.push_back(std::atoll(*shape));
  SetIntraOpThreads(bare.intra_op_threads);
  auto model = LoadModel(options);
  if (model.ok()) return *std::move(model);
  std::cerr << model.status() << "\n";
  std::exit(1);
}

}  // namespace calserve::load

#endif  // CALSERVE_TESTS_BENCHMARKS_LOAD_BARE_MODEL_H_
