#ifndef CALSERVE_EXAMPLES_FASHION_MNIST_LABELLED_RUN_H_
#define CALSERVE_EXAMPLES_FASHION_MNIST_LABELLED_RUN_H_

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "client/client.h"
#include "examples/fashion_mnist/images.h"

namespace calserve::demo {

// Streams the images to the model and each true label back as soon as its prediction is there, while a watch
// shows the rolling ECE beside the progress on standard error: of the served probabilities and, with
// `beside_uncalibrated`, of what plain softmax would have shown on the same labels. Returns once every label
// is acknowledged as durable; any refused prediction or label is an error.
absl::Status PredictAndLabel(const Client& client, const std::string& model,
                             absl::Span<const LabelledPng> images, bool beside_uncalibrated);

}  // namespace calserve::demo

#endif  // CALSERVE_EXAMPLES_FASHION_MNIST_LABELLED_RUN_H_
