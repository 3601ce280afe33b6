#ifndef CALSERVE_SERVER_CONFIG_LABELS_H_
#define CALSERVE_SERVER_CONFIG_LABELS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace calserve {

// The class names of a labels.txt, one a line in the order of the model's outputs, LF or CRLF. At least two,
// unique, no line empty or with spaces around the name: else INVALID_ARGUMENT with FILE:LINE.
absl::StatusOr<std::vector<std::string>> ReadLabels(const std::string& path);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_LABELS_H_
