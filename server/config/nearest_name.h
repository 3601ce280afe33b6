#ifndef CALSERVE_SERVER_CONFIG_NEAREST_NAME_H_
#define CALSERVE_SERVER_CONFIG_NEAREST_NAME_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace calserve {

// "; did you mean NAME?" with the known name that needs the fewest edits to become `name`; empty where none
// is near.
std::string DidYouMean(absl::string_view name, const std::vector<std::string>& known);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_NEAREST_NAME_H_
