#ifndef CALSERVE_SERVER_CONFIG_REGULAR_FILE_H_
#define CALSERVE_SERVER_CONFIG_REGULAR_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace calserve {

// OK where `path` is a regular file, or a link to one. NOT_FOUND where nothing is there at all; else
// INVALID_ARGUMENT with the path and what is there: a directory, a link to nothing, a pipe.
absl::Status CheckRegularFile(const std::string& path);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_REGULAR_FILE_H_
