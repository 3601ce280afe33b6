#ifndef CALSERVE_CALIBRATION_IO_FILE_H_
#define CALSERVE_CALIBRATION_IO_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace calserve {

// Files of data are read whole, up to this size.
inline constexpr int64_t kMaxDataFileBytes = int64_t{4} << 30;

// The whole file, or standard input for "-". NOT_FOUND, PERMISSION_DENIED or INVALID_ARGUMENT (a folder, an
// unreadable file, more than `max_bytes`), naming the file.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, int64_t max_bytes = kMaxDataFileBytes);

// Replaces a regular file in one step, with its mode kept: readers see the old content or the new, never a
// part. A link, a device or a pipe is written through. Errors name the file.
absl::Status WriteWholeFile(const std::string& path, absl::string_view content);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_IO_FILE_H_
