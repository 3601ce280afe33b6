#include "calibration_io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

void Close(std::FILE* file) {
  if (file != stdin) std::fclose(file);
}
using File = std::unique_ptr<std::FILE, void (*)(std::FILE*)>;

absl::Status FileError(absl::string_view what, absl::string_view name) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat(what, " ", name));
}

// What messages call the file of a command line.
std::string NameOf(const std::string& path) { return path == "-" ? "standard input" : path; }

absl::StatusOr<File> OpenRegular(const std::string& path) {
  // O_NONBLOCK: the opening of a named pipe would else wait until somebody writes to it.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  File file(descriptor < 0 ? nullptr : fdopen(descriptor, "rb"), &Close);
  struct stat info;
  if (file == nullptr || fstat(descriptor, &info) != 0) return FileError("cannot open", path);
  if (S_ISREG(info.st_mode)) return file;
  return absl::InvalidArgumentError(absl::StrCat(
      path, S_ISDIR(info.st_mode) ? " is a folder" : " is a device or a pipe", "; a regular file is needed"));
}

absl::StatusOr<File> OpenToRead(const std::string& path) {
  if (path == "-") return File(stdin, &Close);
  absl::StatusOr<File> file = OpenRegular(path);
  if (!absl::IsInvalidArgument(file.status())) return file;
  return absl::InvalidArgumentError(absl::StrCat(file.status().message(), ", or - for standard input"));
}

// The bytes of a regular file; nullopt of what does not say.
std::optional<int64_t> SizeOf(std::FILE* file) {
  struct stat info;
  if (fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return info.st_size;
}

std::string SizeText(int64_t bytes) {
  for (const auto& [shift, unit] : {std::pair(30, " GiB"), std::pair(20, " MiB"), std::pair(10, " KiB")}) {
    if (bytes >> shift << shift == bytes) return absl::StrCat(bytes >> shift, unit);
  }
  return absl::StrCat(bytes, " bytes");
}

absl::StatusOr<std::string> ReadAll(const File& file, const std::string& name, int64_t max_bytes) {
  constexpr size_t kChunk = 1 << 20;
  std::string content;
  if (const std::optional<int64_t> bytes = SizeOf(file.get())) {
    if (*bytes > max_bytes) return LargerThan(name, max_bytes);
    content.reserve(static_cast<size_t>(*bytes) + kChunk);
  }
  size_t size = 0;
  do {
    content.resize(size + kChunk);
    size += std::fread(content.data() + size, 1, kChunk, file.get());
    if (static_cast<int64_t>(size) > max_bytes) return LargerThan(name, max_bytes);
  } while (size == content.size());
  if (std::ferror(file.get())) return FileError("cannot read", name);
  content.resize(size);
  return content;
}

}  // namespace

absl::Status LargerThan(absl::string_view name, int64_t max_bytes) {
  return absl::InvalidArgumentError(absl::StrCat(name, " is larger than the limit of ", SizeText(max_bytes)));
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, int64_t max_bytes) {
  const absl::StatusOr<File> file = OpenToRead(path);
  if (!file.ok()) return file.status();
  return ReadAll(*file, NameOf(path), max_bytes);
}

absl::StatusOr<std::string> ReadRegularFile(const std::string& path, int64_t max_bytes) {
  const absl::StatusOr<File> file = OpenRegular(path);
  if (!file.ok()) return file.status();
  return ReadAll(*file, path, max_bytes);
}

absl::StatusOr<LineReader> LineReader::Open(const std::string& path) {
  absl::StatusOr<File> file = OpenToRead(path);
  if (!file.ok()) return file.status();
  return LineReader(NameOf(path), *std::move(file));
}

absl::StatusOr<std::optional<std::string>> LineReader::Next() {
  ++line_;
  std::string line;
  int next;
  while ((next = getc_unlocked(file_.get())) != EOF && next != '\n') {
    if (static_cast<int64_t>(line.size()) == kMaxLineBytes) {
      return LargerThan(absl::StrCat("line ", line_, " of ", name_), kMaxLineBytes);
    }
    line.push_back(static_cast<char>(next));
  }
  if (std::ferror(file_.get())) return FileError("cannot read", name_);
  if (next == EOF && line.empty()) return std::nullopt;
  return line;
}

std::string LineReader::Place() const { return absl::StrCat(name_, ":", line_); }

absl::Status WriteWholeFile(const std::string& path, absl::string_view content) {
  // A regular file appears whole, by a rename; a link, a device or a pipe is written through.
  std::error_code error;
  const std::filesystem::file_status before = std::filesystem::symlink_status(path, error);
  const bool replace = !std::filesystem::exists(before) || std::filesystem::is_regular_file(before);
  const std::string temporary = replace ? absl::StrCat(path, ".", getpid(), ".tmp") : path;
  File file(std::fopen(temporary.c_str(), "wb"), &Close);
  if (file == nullptr) return FileError("cannot create", path);
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
