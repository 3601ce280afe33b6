#include "server/feedback/posix_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

absl::Status WriteAll(int fd, absl::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return PlaceError("cannot write", path, errno);
    content.remove_prefix(written);
  }
  return absl::OkStatus();
}

std::string DescribeThisProcess() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat("process ", getpid(), " on ", host, " since ",
                      absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone()));
}

std::string ReadHolder(int fd) {
  char text[512];
  const ssize_t size = pread(fd, text, sizeof(text), 0);
  const absl::string_view holder = absl::StripAsciiWhitespace(absl::string_view(text, size > 0 ? size : 0));
  return holder.empty() ? "another process" : std::string(holder.data(), holder.size());
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

absl::Status PlaceError(absl::string_view what, const std::string& path, int error) {
  const std::string message = absl::StrCat(what, " ", path, ": ");
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return absl::UnavailableError(absl::StrCat(
          message, "no space left on its file system; free some, or choose another place (--data-dir)"));
    case EROFS:
      return absl::FailedPreconditionError(absl::StrCat(
          message, "its file system is read-only; mount it writable, or choose another place (--data-dir)"));
    case EACCES:
    case EPERM:
      return absl::FailedPreconditionError(absl::StrCat(
          message, "user ", geteuid(), " may not write there; change the owner or the mode, or choose ",
          "another place (--data-dir)"));
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return absl::FailedPreconditionError(absl::StrCat(message, std::strerror(error)));
    default:
      return absl::UnavailableError(absl::StrCat(message, std::strerror(error)));
  }
}

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return absl::OkStatus();
  const std::string parent = DirectoryOf(path);
  std::filesystem::create_directories(parent, error);
  if (error) return PlaceError("cannot make the directory", parent, error.value());
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return PlaceError("cannot make the directory", path, errno);
  }
  if (!std::filesystem::is_directory(path, error)) return PlaceError("cannot use", path, ENOTDIR);
  return SyncDirectory(parent);
}

absl::Status SyncDirectory(const std::string& path) {
  const FileDescriptor directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.ok()) return PlaceError("cannot open the directory", path, errno);
  // Some file systems cannot sync a directory and say EINVAL; their entries are durable by other means.
  if (fsync(directory.get()) != 0 && errno != EINVAL)
    return PlaceError("cannot sync the directory", path, errno);
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view content, mode_t mode) {
  const std::string temporary = absl::StrCat(path, ".new.", getpid());
  const auto write_temporary = [&]() -> absl::Status {
    const FileDescriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!file.ok()) return PlaceError("cannot make", path, errno);
    RETURN_IF_ERROR(WriteAll(file.get(), content, path));
    if (fsync(file.get()) != 0) return PlaceError("cannot sync", path, errno);
    if (rename(temporary.c_str(), path.c_str()) != 0) return PlaceError("cannot make", path, errno);
    return absl::OkStatus();
  };
  if (absl::Status status = write_temporary(); !status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncDirectory(DirectoryOf(path));
}

std::string DirectoryOf(const std::string& path) {
  const std::string trimmed = path.size() > 1 && path.back() == '/' ? path.substr(0, path.size() - 1) : path;
  const std::string parent = std::filesystem::path(trimmed).parent_path().string();
  return parent.empty() ? "." : parent;
}

absl::StatusOr<FileLock> FileLock::Acquire(const std::string& path, absl::string_view protects) {
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.ok()) return PlaceError("cannot make the lock file", path, errno);
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return PlaceError("cannot lock", path, errno);
    return absl::UnavailableError(absl::StrCat(protects, " is in use by another server (",
                                               ReadHolder(file.get()),
                                               "); stop that one, or give this one another --data-dir"));
  }
  if (ftruncate(file.get(), 0) != 0) return PlaceError("cannot write the lock file", path, errno);
  RETURN_IF_ERROR(WriteAll(file.get(), absl::StrCat(DescribeThisProcess(), "\n"), path));
  return FileLock(std::move(file));
}

}  // namespace calserve
