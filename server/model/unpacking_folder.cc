#include "server/model/unpacking_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "calserve-unpacked-";
constexpr char kLock[] = "lock";

std::string TemporaryDirectory() {
  const char* const named = std::getenv("TMPDIR");
  return named == nullptr || *named == '\0' ? "/tmp" : named;
}

// -1 where another process has it, or it cannot be had.
int OpenAndLock(const fs::path& file, int flags) {
  const int lock = open(file.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0) return lock;
  if (lock >= 0) close(lock);
  return -1;
}

bool IsOurs(const fs::path& folder) {
  struct stat status;
  return lstat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid();
}

void RemoveAll(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
}

void RemoveThoseOfTheGone(const std::string& directory) {
  std::error_code error;
  for (fs::directory_iterator next(directory, error), end; !error && next != end; next.increment(error)) {
    const fs::path folder = next->path();
    if (!absl::StartsWith(folder.filename().string(), kPrefix) || !IsOurs(folder)) continue;
    const int lock = OpenAndLock(folder / kLock, O_RDWR);
    if (lock < 0) continue;
    RemoveAll(folder);
    close(lock);
  }
}

}  // namespace

absl::StatusOr<UnpackingFolder> UnpackingFolder::Create() {
  const std::string directory = TemporaryDirectory();
  RemoveThoseOfTheGone(directory);
  // Under another name until it is locked: nobody takes it for one of the gone.
  std::string unlocked = absl::StrCat(directory, "/calserve-unlocked-XXXXXX");
  if (mkdtemp(unlocked.data()) == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make a folder in ", directory, " (TMPDIR): ", std::strerror(errno)));
  }
  const std::string path = absl::StrCat(directory, "/", kPrefix, unlocked.substr(unlocked.size() - 6));
  const int lock = OpenAndLock(fs::path(unlocked) / kLock, O_RDWR | O_CREAT);
  if (lock < 0 || rename(unlocked.c_str(), path.c_str()) != 0 ||
      setenv("TMPDIR", path.c_str(), /*overwrite=*/1) != 0) {
    const absl::Status status = absl::FailedPreconditionError(
        absl::StrCat("cannot use a folder in ", directory, " (TMPDIR): ", std::strerror(errno)));
    RemoveAll(unlocked);
    if (lock >= 0) close(lock);
    return status;
  }
  return UnpackingFolder(path, lock);
}

UnpackingFolder::UnpackingFolder(UnpackingFolder&& other) noexcept
    : path_(std::exchange(other.path_, "")), lock_(std::exchange(other.lock_, -1)) {}

UnpackingFolder::~UnpackingFolder() {
  if (path_.empty()) return;
  RemoveAll(path_);
  close(lock_);
}

}  // namespace calserve
