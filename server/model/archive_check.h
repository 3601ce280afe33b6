#ifndef CALSERVE_SERVER_MODEL_ARCHIVE_CHECK_H_
#define CALSERVE_SERVER_MODEL_ARCHIVE_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace calserve {

// A model file is a zip archive, and LibTorch does not look at its checksums: a file with holes, as a
// download of parts leaves until its last part is there, loads and answers wrongly, or ends the process.
// Reads the whole file. INVALID_ARGUMENT naming the first part that is not as its checksum says; OK where
// `path` is no archive at all, of which the loader says more, and, with a warning, for a file beyond 4 GiB.
absl::Status CheckArchive(const std::string& path);

// What the files that LibTorch unpacks of an AOTInductor package take in a file system with blocks of so many
// bytes, by its list of parts, beyond 4 GiB what the file has, as parts are stored as they are; 0 where that
// cannot be read, or has none.
int64_t UnpackedBytes(const std::string& path, int64_t block);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_ARCHIVE_CHECK_H_
