#ifndef CALSERVE_SERVER_CONFIG_LABELS_H_
#define CALSERVE_SERVER_CONFIG_LABELS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace calserve {

// The class names of a labels.txt, one a line in the order of the model's outputs, LF or CRLF. At least two,
// unique, no line empty, with spaces around the name or with control characters, which would be obeyed where
// names are shown. Adds all that is wrong to `problems`, with FILE:LINE, the first lines that are and how
// many more; what is returned then has each name once, and is of use only for its number.
std::vector<std::string> ReadLabels(const std::string& path, std::vector<absl::Status>* problems);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_LABELS_H_
