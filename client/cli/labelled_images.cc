#include "client/cli/labelled_images.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "calibration_io/csv.h"
#include "client/cli/session.h"

namespace calserve::cli {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<std::vector<fs::path>> SortedEntries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string()[0] != '.') entries.push_back(it->path());
  }
  if (error)
    return absl::InvalidArgumentError(absl::StrCat("cannot list ", folder.string(), ": ", error.message()));
  std::sort(entries.begin(), entries.end());
  return entries;
}

absl::StatusOr<std::vector<LabelledPath>> PathsOfFolder(const fs::path& folder) {
  std::vector<LabelledPath> out;
  const absl::StatusOr<std::vector<fs::path>> classes = SortedEntries(folder);
  if (!classes.ok()) return classes.status();
  for (const fs::path& class_folder : *classes) {
    if (!fs::is_directory(class_folder)) {
      return absl::InvalidArgumentError(absl::StrCat(folder.string(), " must hold one folder per class; ",
                                                     class_folder.string(), " is a file"));
    }
    const absl::StatusOr<std::vector<fs::path>> files = SortedEntries(class_folder);
    if (!files.ok()) return files.status();
    for (const fs::path& file : *files) out.push_back({file.string(), class_folder.filename().string()});
  }
  return out;
}

absl::StatusOr<std::vector<LabelledPath>> PathsOfList(const std::string& list) {
  const absl::StatusOr<std::string> text = ReadWholeFile(list, kMaxListFileBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<std::vector<LabelledPath>> paths = ParseLabelledPaths(*text, list);
  if (!paths.ok()) return paths.status();
  // operator/ leaves an absolute path as it is.
  for (LabelledPath& entry : *paths) entry.path = (fs::path(list).parent_path() / entry.path).string();
  return paths;
}

absl::Status CheckImageFile(const std::string& path, int64_t max_bytes) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return absl::NotFoundError(absl::StrCat(path, error ? ": " + error.message() : " is not a file"));
  }
  if (!std::ifstream(path, std::ios::binary)) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  const auto bytes = static_cast<int64_t>(fs::file_size(path, error));
  if (!error && bytes > max_bytes) return LargerThan(path, max_bytes);
  if (error || bytes < 1) return absl::InvalidArgumentError(absl::StrCat(path, " is empty"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<LabelledImage>> ListLabelledImages(const std::string& path,
                                                              const client::ModelInfo& model) {
  const absl::StatusOr<std::vector<LabelledPath>> paths =
      fs::is_directory(path) ? PathsOfFolder(path) : PathsOfList(path);
  if (!paths.ok()) return paths.status();
  if (paths->empty()) return absl::InvalidArgumentError(absl::StrCat(path, " holds no labelled image"));
  std::vector<LabelledImage> out;
  for (const LabelledPath& entry : *paths) {
    const absl::StatusOr<int32_t> index = ClassIndex(model, entry.label);
    if (!index.ok())
      return absl::InvalidArgumentError(absl::StrCat(entry.path, ": ", index.status().message()));
    out.push_back({entry.path, *index});
  }
  return out;
}

absl::Status CheckImageFiles(const std::vector<LabelledImage>& images, int64_t max_bytes) {
  absl::Status first;
  int64_t bad = 0;
  for (const LabelledImage& image : images) {
    const absl::Status status = CheckImageFile(image.path, max_bytes);
    if (status.ok()) continue;
    if (++bad == 1) first = status;
  }
  if (bad < 2) return first;
  return absl::Status(first.code(),
                      absl::StrCat(first.message(), "; so ", bad, " of ", images.size(), " images are bad"));
}

int64_t TotalBytes(const std::vector<LabelledImage>& images) {
  int64_t bytes = 0;
  for (const LabelledImage& image : images) {
    std::error_code error;
    const uintmax_t size = fs::file_size(image.path, error);
    if (!error) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

}  // namespace calserve::cli
