#ifndef CALSERVE_EXAMPLES_FASHION_MNIST_IMAGES_H_
#define CALSERVE_EXAMPLES_FASHION_MNIST_IMAGES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace calserve::demo {

struct LabelledPng {
  std::string png;
  int32_t label = 0;
};

// The test set of Fashion-MNIST, as Debian's package dataset-fashion-mnist has it in `folder`
// (t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz), each image encoded as an 8-bit grey PNG. In the
// files' order.
absl::StatusOr<std::vector<LabelledPng>> ReadTestImages(const std::string& folder);

}  // namespace calserve::demo

#endif  // CALSERVE_EXAMPLES_FASHION_MNIST_IMAGES_H_
