#include "calibration_io/file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

absl::Status FileError(absl::string_view what, const std::string& path) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat(what, " ", path));
}

}  // namespace

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, int64_t max_bytes) {
  const bool standard_input = path == "-";
  const File owned(standard_input ? nullptr : std::fopen(path.c_str(), "rb"));
  std::FILE* const file = standard_input ? stdin : owned.get();
  if (file == nullptr) return FileError("cannot open", path);
  std::string content;
  size_t size = 0;
  for (size_t chunk = 64 << 10;; chunk = std::min<size_t>(2 * chunk, 16 << 20)) {
    content.resize(size + chunk);
    size += std::fread(content.data() + size, 1, chunk, file);
    if (static_cast<int64_t>(size) > max_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " is larger than the limit of ", max_bytes, " bytes"));
    }
    if (size < content.size()) break;
  }
  if (std::ferror(file)) return FileError("cannot read", path);
  content.resize(size);
  return content;
}

absl::Status WriteWholeFile(const std::string& path, absl::string_view content) {
  // A regular file appears whole, by a rename; a link, a device or a pipe is written through.
  std::error_code error;
  const std::filesystem::file_status before = std::filesystem::symlink_status(path, error);
  const bool replace = !std::filesystem::exists(before) || std::filesystem::is_regular_file(before);
  const std::string temporary = replace ? absl::StrCat(path, ".", getpid(), ".tmp") : path;
  File file(std::fopen(temporary.c_str(), "wb"));
  if (file == nullptr) return FileError("cannot create", temporary);
  bool written = std::fwrite(content.data(), 1, content.size(), file.get()) == content.size();
  written = std::fflush(file.get()) == 0 && written;
  if (written && replace) {
    if (std::filesystem::exists(before)) std::filesystem::permissions(temporary, before.permissions(), error);
    written = std::rename(temporary.c_str(), path.c_str()) == 0;
  }
  if (!written) {
    const absl::Status status = FileError("cannot write", path);
    if (replace) std::remove(temporary.c_str());
    return status;
  }
  return absl::OkStatus();
}

}  // namespace calserve
