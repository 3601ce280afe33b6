#ifndef CALSERVE_SERVER_MODEL_UNPACKING_FOLDER_H_
#define CALSERVE_SERVER_MODEL_UNPACKING_FOLDER_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace calserve {

// LibTorch unpacks a .pt2 below $TMPDIR, else /tmp, and leaves it there where the load fails or the process
// is killed. So each process has a folder of its own there, calserve-unpacked-XXXXXX, which goes with it, and
// removes those of processes that are gone: whose `lock` nobody holds.
class UnpackingFolder final {
 public:
  // Makes the folder and sets TMPDIR to it: call before any thread starts. Not OK, naming the directory,
  // where it cannot be made; then TMPDIR is as it was.
  static absl::StatusOr<UnpackingFolder> Create();
  UnpackingFolder(UnpackingFolder&& other) noexcept;
  UnpackingFolder& operator=(UnpackingFolder&&) = delete;
  // Removes it.
  ~UnpackingFolder();

  const std::string& path() const { return path_; }

 private:
  UnpackingFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::string path_;  // empty: moved away
  int lock_ = -1;     // an open file that is locked as long as the process lives
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_UNPACKING_FOLDER_H_
