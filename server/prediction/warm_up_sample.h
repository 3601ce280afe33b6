#ifndef CALSERVE_SERVER_PREDICTION_WARM_UP_SAMPLE_H_
#define CALSERVE_SERVER_PREDICTION_WARM_UP_SAMPLE_H_

#include <string>
#include <variant>
#include <vector>

namespace calserve {

// An input with the answer that it must get, shipped with a model version (docs/models.md).
struct WarmUpSample {
  std::string file;                                     // its name, for messages
  std::variant<std::string, std::vector<float>> input;  // an encoded image, or the model's own input
  std::vector<float> logits;                            // columns() of the model; empty: not compared
  std::vector<std::string> top_classes;  // with the largest logits, the largest first; or empty
  // A logit agrees where |got - expected| <= absolute + relative * |expected|.
  double absolute_tolerance = 1e-3;
  double relative_tolerance = 1e-3;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_WARM_UP_SAMPLE_H_
