#ifndef CALSERVE_SERVER_PREDICTION_TENSOR_NAMES_H_
#define CALSERVE_SERVER_PREDICTION_TENSOR_NAMES_H_

#include <string>

namespace calserve {

// What the tensors of a model are called over KServe v2: what its clients already call them, if they were
// written for another server. The outputs have different names.
struct TensorNames {
  std::string input = "input";
  std::string probabilities = "probabilities";
  std::string logits = "logits";
  std::string ticket = "ticket";
  std::string prediction_id = "prediction_id";
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_TENSOR_NAMES_H_
