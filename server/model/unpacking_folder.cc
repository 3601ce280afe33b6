#include "server/model/unpacking_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/mutex.h"
#include "server/model/archive_check.h"

namespace calserve {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "calserve-unpacked-";

// The folder of this process, and the descriptor that has it locked.
struct Held {
  Mutex mu;
  std::string path ABSL_GUARDED_BY(mu);
  int lock ABSL_GUARDED_BY(mu) = -1;
};
Held& held() {
  static Held* const held = new Held;
  return *held;
}

std::string TemporaryDirectory() {
  const char* const named = std::getenv("TMPDIR");
  return named == nullptr || *named == '\0' ? "/tmp" : named;
}

// -1 where it is not a directory of this user, or another process has it locked.
int OpenAndLock(const fs::path& folder) {
  const int lock = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat status;
  if (lock >= 0 && fstat(lock, &status) == 0 && status.st_uid == geteuid() &&
      flock(lock, LOCK_EX | LOCK_NB) == 0) {
    return lock;
  }
  if (lock >= 0) close(lock);
  return -1;
}

void RemoveAll(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
}

void RemoveThoseOfTheGone(const std::string& directory) {
  std::error_code error;
  for (fs::directory_iterator next(directory, error), end; !error && next != end; next.increment(error)) {
    if (!absl::StartsWith(next->path().filename().string(), kPrefix)) continue;
    const int lock = OpenAndLock(next->path());
    if (lock < 0) continue;
    RemoveAll(next->path());
    close(lock);
  }
}

absl::Status CannotMake(const std::string& directory) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot make a folder in ", directory, " (TMPDIR): ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<UnpackingFolder> UnpackingFolder::Create() {
  const std::string directory = TemporaryDirectory();
  RemoveThoseOfTheGone(directory);
  // Under another name until it is locked: nobody takes it for one of the gone.
  std::string unlocked = absl::StrCat(directory, "/calserve-unlocked-XXXXXX");
  if (mkdtemp(unlocked.data()) == nullptr) return CannotMake(directory);
  const std::string path = absl::StrCat(directory, "/", kPrefix, unlocked.substr(unlocked.size() - 6));
  const int lock = OpenAndLock(unlocked);
  if (lock < 0 || rename(unlocked.c_str(), path.c_str()) != 0 ||
      setenv("TMPDIR", path.c_str(), /*overwrite=*/1) != 0) {
    const absl::Status status = CannotMake(directory);
    RemoveAll(unlocked);
    if (lock >= 0) close(lock);
    return status;
  }
  MutexLock holding(&held().mu);
  if (held().lock >= 0) close(held().lock);
  held().path = path;
  held().lock = lock;
  return UnpackingFolder(path);
}

UnpackingFolder::UnpackingFolder(std::string path) : path_(std::move(path)) {}

UnpackingFolder::UnpackingFolder(UnpackingFolder&& other) noexcept : path_(std::exchange(other.path_, "")) {}

UnpackingFolder::~UnpackingFolder() {
  if (path_.empty()) return;
  RemoveAll(path_);
  MutexLock holding(&held().mu);
  if (held().path != path_) return;
  close(held().lock);
  held().path.clear();
  held().lock = -1;
}

void RemoveUnpackedOfTheGone() { RemoveThoseOfTheGone(TemporaryDirectory()); }

absl::Status MakeUnpackingFolderAgain() {
  MutexLock holding(&held().mu);
  if (held().path.empty() || mkdir(held().path.c_str(), 0700) != 0) {
    return held().path.empty() || errno == EEXIST ? absl::OkStatus() : CannotMake(held().path);
  }
  close(held().lock);
  held().lock = OpenAndLock(held().path);
  return absl::OkStatus();
}

absl::Status CheckRoomToUnpack(const std::string& package) {
  const std::string directory = TemporaryDirectory();
  struct statvfs space;
  // A file system without a limit, as a tmpfs may be, has no blocks.
  if (statvfs(directory.c_str(), &space) != 0 || space.f_blocks == 0) return absl::OkStatus();
  const int64_t free = static_cast<int64_t>(space.f_bavail) * static_cast<int64_t>(space.f_frsize);
  const int64_t needed = UnpackedBytes(package);
  if (needed <= free) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(directory, " (TMPDIR) has ", free, " bytes free, and ",
                                                   package, " has ", needed,
                                                   " to unpack there: make room, or start the server with a "
                                                   "TMPDIR that has it and is not mounted noexec"));
}

}  // namespace calserve
