#ifndef CALSERVE_SERVER_FEEDBACK_POSIX_FILE_H_
#define CALSERVE_SERVER_FEEDBACK_POSIX_FILE_H_

#include <sys/types.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace calserve {

// Owns a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor();

  bool ok() const { return fd_ >= 0; }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// Says for a system call's error on a place where the server keeps data what is wrong and what to do.
// FAILED_PRECONDITION for a place that cannot be written, UNAVAILABLE for what may pass (no space, I/O
// error).
absl::Status PlaceError(absl::string_view what, const std::string& path, int error);

// Makes the directory, with mode 0700, and its parents if they are not there.
absl::Status MakeDirectory(const std::string& path);

// Makes the entries of the directory durable.
absl::Status SyncDirectory(const std::string& path);

// Replaces the file in one step: a reader, or a start after a crash, sees all of `content` or what was there
// before.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view content, mode_t mode);

// The path's directory; "." if it names none.
std::string DirectoryOf(const std::string& path);

// An advisory lock on a file beside what it protects, held until destruction or the end of the process. The
// file says who holds it, and stays.
class FileLock {
 public:
  // UNAVAILABLE naming the holder if another process (or another lock of this one) has it.
  static absl::StatusOr<FileLock> Acquire(const std::string& path, absl::string_view protects);

 private:
  explicit FileLock(FileDescriptor file) : file_(std::move(file)) {}

  FileDescriptor file_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_POSIX_FILE_H_
