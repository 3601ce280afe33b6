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
#include <optional>
#include <set>
#include <string>
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
// Less than LibTorch writes at once.
constexpr int64_t kLeftWhereFull = 64 << 10;

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
  const std::string message =
      absl::StrCat("cannot make a folder in ", directory, " (TMPDIR): ", std::strerror(errno));
  return errno == ENOSPC || errno == EDQUOT ? absl::ResourceExhaustedError(message)
                                            : absl::FailedPreconditionError(message);
}

// What a directory's file system has for this process; nothing where that cannot be told.
struct Space {
  int64_t block = 0, free = 0;  // bytes
};
std::optional<Space> SpaceOf(const std::string& directory) {
  struct statvfs space;
  // A file system without a limit, as a tmpfs may be, has no blocks.
  if (statvfs(directory.c_str(), &space) != 0 || space.f_blocks == 0 || space.f_frsize == 0) {
    return std::nullopt;
  }
  const auto block = static_cast<int64_t>(space.f_frsize);
  return Space{block, static_cast<int64_t>(geteuid() == 0 ? space.f_bfree : space.f_bavail) * block};
}

// Where the folder of this process lies, which the operator has named; else where it would.
std::string NamedDirectory() {
  MutexLock holding(&held().mu);
  return held().path.empty() ? TemporaryDirectory() : fs::path(held().path).parent_path().string();
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
  const std::optional<Space> space = SpaceOf(TemporaryDirectory());
  if (!space.has_value()) return absl::OkStatus();
  const int64_t needed = UnpackedBytes(package, space->block);
  if (needed <= space->free) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      NamedDirectory(), " (TMPDIR) has ", space->free, " bytes free, and ", package, " takes ", needed,
      " bytes there once it is unpacked: make room, or start the server with another TMPDIR"));
}

Unpacking::Unpacking() : before_(Unpacked()) {}

std::set<std::string> Unpacking::Unpacked() {
  std::string folder;
  {
    MutexLock holding(&held().mu);
    folder = held().path;
  }
  std::set<std::string> names;
  std::error_code error;
  if (folder.empty()) return names;
  for (fs::directory_iterator next(folder, error), end; !error && next != end; next.increment(error))
    names.insert(next->path().string());
  return names;
}

absl::Status Unpacking::Failed(absl::Status why) {
  const std::optional<Space> space = SpaceOf(TemporaryDirectory());
  const bool full = space.has_value() && space->free < kLeftWhereFull;
  for (const std::string& path : Unpacked()) {
    if (before_.count(path) == 0) RemoveAll(path);
  }
  if (!full) return why;
  return absl::ResourceExhaustedError(
      absl::StrCat(NamedDirectory(),
                   " (TMPDIR) was full when a package was unpacked there: make "
                   "room, or start the server with another TMPDIR (",
                   why.message(), ")"));
}

}  // namespace calserve
