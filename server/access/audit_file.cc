#include "server/access/audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

absl::Status CannotWrite(const std::string& path) {
  return absl::FailedPreconditionError(
      absl::StrCat("access.audit_file: ", path, " cannot be written: ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<AuditFile>> AuditFile::Open(const std::string& path) {
  std::unique_ptr<AuditFile> file(new AuditFile(path));
  RETURN_IF_ERROR(file->Follow());
  return file;
}

AuditFile::~AuditFile() {
  if (fd_ >= 0) close(fd_);
}

absl::Status AuditFile::Follow() {
  struct stat there {};
  if (fd_ >= 0 && stat(path_.c_str(), &there) == 0 && there.st_dev == device_ && there.st_ino == inode_) {
    return absl::OkStatus();
  }
  // O_NONBLOCK: a named pipe that nobody reads, or that is full, is refused instead of waited for.
  const int fd = open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
  if (fd < 0) return CannotWrite(path_);
  if (fstat(fd, &there) != 0) {
    close(fd);
    return CannotWrite(path_);
  }
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
  device_ = there.st_dev;
  inode_ = there.st_ino;
  torn_ = false;
  return absl::OkStatus();
}

absl::Status AuditFile::Append(absl::string_view line) {
  RETURN_IF_ERROR(Follow());
  const std::string text = absl::StrCat(
      torn_ ? "\n" : "", absl::FormatTime("%Y-%m-%dT%H:%M:%E3S%z", absl::Now(), absl::LocalTimeZone()), " ",
      line, "\n");
  ssize_t written = 0;
  do {
    written = write(fd_, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(text.size())) {
    torn_ = false;
    return absl::OkStatus();
  }
  if (written > 0) torn_ = true;
  if (written >= 0) errno = ENOSPC;  // What a file takes less than all for.
  return CannotWrite(path_);
}

}  // namespace calserve
