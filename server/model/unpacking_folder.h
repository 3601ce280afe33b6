#ifndef CALSERVE_SERVER_MODEL_UNPACKING_FOLDER_H_
#define CALSERVE_SERVER_MODEL_UNPACKING_FOLDER_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace calserve {

// LibTorch unpacks a .pt2 below $TMPDIR, else /tmp, and leaves it there where the load fails or the process
// is killed. So each process has a folder of its own there, calserve-unpacked-XXXXXX, locked as long as the
// process lives. It goes with it, or the next process that makes one removes what nobody has locked.
class UnpackingFolder final {
 public:
  // Makes the folder and sets TMPDIR to it: call before any thread starts, once. Not OK, naming the
  // directory, where it cannot be made; then TMPDIR is as it was.
  static absl::StatusOr<UnpackingFolder> Create();
  UnpackingFolder(UnpackingFolder&& other) noexcept;
  UnpackingFolder& operator=(UnpackingFolder&&) = delete;
  // Removes it.
  ~UnpackingFolder();

  const std::string& path() const { return path_; }

 private:
  explicit UnpackingFolder(std::string path);

  std::string path_;  // empty: moved away
};

// Removes what processes that are gone have left where this one unpacks. Thread-safe.
void RemoveUnpackedOfTheGone();

// Makes the folder of this process again where something that cleans /tmp has removed it; does nothing where
// there was none. Thread-safe.
absl::Status MakeUnpackingFolderAgain();

// RESOURCE_EXHAUSTED, naming the directory, where a package, whose list of parts is to be believed
// (CheckArchive), takes more once it is unpacked than is free there; OK where either cannot be told.
absl::Status CheckRoomToUnpack(const std::string& package);

// One load of a package, from before it is unpacked; one at a time. What a load that fails has unpacked
// LibTorch leaves there.
class Unpacking final {
 public:
  Unpacking();

  // Removes what was unpacked since then, where this process has a folder of its own. Returns `why`, or
  // RESOURCE_EXHAUSTED with it where the directory was full: another program may have taken the room
  // meanwhile.
  absl::Status Failed(absl::Status why);

 private:
  static std::set<std::string> Unpacked();

  const std::set<std::string> before_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_UNPACKING_FOLDER_H_
