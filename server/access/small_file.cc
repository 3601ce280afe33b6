#include "server/access/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

absl::Status Refuse(absl::string_view option, const std::string& path, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(option, ": ", path, " ", why));
}

}  // namespace

absl::StatusOr<std::string> ReadSmallFile(absl::string_view option, const std::string& path,
                                          FileSecrecy secrecy) {
  // O_NONBLOCK: the opening of a named pipe would else wait until somebody writes to it.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      descriptor < 0 ? nullptr : fdopen(descriptor, "r"), &std::fclose);
  struct stat info {};
  if (file == nullptr || fstat(fileno(file.get()), &info) != 0) {
    return Refuse(option, path, absl::StrCat("cannot be read: ", std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode)) return Refuse(option, path, "is not a regular file");
  if (secrecy == FileSecrecy::kSecret && (info.st_mode & S_IRWXO) != 0) {
    return Refuse(option, path, "can be read by everybody on this machine: chmod o= it");
  }
  std::string content(kMaxBytes + 1, '\0');
  content.resize(std::fread(content.data(), 1, content.size(), file.get()));
  if (std::ferror(file.get()) != 0) return Refuse(option, path, "cannot be read");
  if (content.size() > kMaxBytes) return Refuse(option, path, "is larger than 1 MiB");
  return content;
}

}  // namespace calserve
