#ifndef CALSERVE_SERVER_CONFIG_TEXT_FILE_H_
#define CALSERVE_SERVER_CONFIG_TEXT_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace calserve {

// The whole of a file of at most 16 MiB of UTF-8, without a byte-order mark. NOT_FOUND or INVALID_ARGUMENT
// with the path and the reason.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_TEXT_FILE_H_
