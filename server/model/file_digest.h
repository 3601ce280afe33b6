#ifndef CALSERVE_SERVER_MODEL_FILE_DIGEST_H_
#define CALSERVE_SERVER_MODEL_FILE_DIGEST_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace calserve {

// The SHA-256 of a file's content in lower-case hex. NOT_FOUND if it cannot be opened, INTERNAL if it cannot
// be read.
absl::StatusOr<std::string> FileDigest(const std::string& path);

// What a model version answers: its file, by FileDigest, and what its classes are called, in their order.
// SHA-256 in lower-case hex.
std::string VersionDigest(const std::string& file_digest, const std::vector<std::string>& labels);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_FILE_DIGEST_H_
