#ifndef CALSERVE_CALIBRATION_IO_FILE_H_
#define CALSERVE_CALIBRATION_IO_FILE_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace calserve {

// What is read is bounded: standard input may never end.
inline constexpr int64_t kMaxDataFileBytes = int64_t{1} << 30;    // logits: 100,000 rows of 1,000 float64
inline constexpr int64_t kMaxImageFileBytes = int64_t{64} << 20;  // JPEG, PNG or WebP
inline constexpr int64_t kMaxListFileBytes = int64_t{64} << 20;   // a million image files with their labels
inline constexpr int64_t kMaxLineBytes = int64_t{16} << 20;       // of text: a row of a million numbers

// The whole file, or standard input for "-". NOT_FOUND, PERMISSION_DENIED or INVALID_ARGUMENT (a folder, a
// device, a pipe, more than `max_bytes`), naming the file. Memory stays below twice max_bytes, and a file
// that is larger is refused unread.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, int64_t max_bytes = kMaxDataFileBytes);
// The same without standard input: "-" is a file of that name.
absl::StatusOr<std::string> ReadRegularFile(const std::string& path, int64_t max_bytes);

// Reads a text of any length line by line.
class LineReader {
 public:
  // "-" is standard input. Errors as ReadWholeFile.
  static absl::StatusOr<LineReader> Open(const std::string& path);

  // The next line without its end; nullopt after the last. INVALID_ARGUMENT for a line of more than
  // kMaxLineBytes.
  absl::StatusOr<std::optional<std::string>> Next();

  // The file and, once Next has returned, the line: "labels.jsonl:3".
  std::string Place() const;

 private:
  using File = std::unique_ptr<std::FILE, void (*)(std::FILE*)>;
  LineReader(std::string name, File file) : name_(std::move(name)), file_(std::move(file)) {}

  std::string name_;
  File file_;
  int64_t line_ = 0;
};

// "INVALID_ARGUMENT: NAME is larger than the limit of 64 MiB".
absl::Status LargerThan(absl::string_view name, int64_t max_bytes);

// Replaces a regular file in one step, with its mode kept: readers see the old content or the new, never a
// part. A link, a device or a pipe is written through. Errors name the file.
absl::Status WriteWholeFile(const std::string& path, absl::string_view content);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_IO_FILE_H_
