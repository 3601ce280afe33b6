#ifndef CALSERVE_SERVER_ACCESS_AUDIT_FILE_H_
#define CALSERVE_SERVER_ACCESS_AUDIT_FILE_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace calserve {

// A file that lines are appended to, under a name that may come to lead to another file: where logrotate has
// moved or removed it, the next line begins a new one. Every error is FAILED_PRECONDITION that starts with
// access.audit_file and names the file. Not thread-safe.
class AuditFile final {
 public:
  // Made with mode 0600 where it is not there.
  static absl::StatusOr<std::unique_ptr<AuditFile>> Open(const std::string& path);
  ~AuditFile();
  AuditFile(const AuditFile&) = delete;
  AuditFile& operator=(const AuditFile&) = delete;

  // `line` with the time before it and an end after it. A line of which only a part was written is ended
  // before the next one begins.
  absl::Status Append(absl::string_view line);
  // Whether its name leads to a file that is open; opens it where it does not.
  absl::Status Follow();

  const std::string& path() const { return path_; }

 private:
  explicit AuditFile(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  int fd_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  bool torn_ = false;  // its last line has no end
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_ACCESS_AUDIT_FILE_H_
