#ifndef CALSERVE_SERVER_ACCESS_SMALL_FILE_H_
#define CALSERVE_SERVER_ACCESS_SMALL_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace calserve {

enum class FileSecrecy {
  kPublic,
  kSecret,  // what others than its owner and group can read is refused
};

// All of a file of at most 1 MiB. FAILED_PRECONDITION that starts with `option` and names the file; nothing
// of its content is in a message.
absl::StatusOr<std::string> ReadSmallFile(absl::string_view option, const std::string& path,
                                          FileSecrecy secrecy);

}  // namespace calserve

#endif  // CALSERVE_SERVER_ACCESS_SMALL_FILE_H_
