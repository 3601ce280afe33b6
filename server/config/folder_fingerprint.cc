#include "server/config/folder_fingerprint.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace calserve {
namespace {

namespace fs = std::filesystem;

// A folder that links into itself ends here; so does anything that is no model version.
constexpr int kMaxDepth = 8;
constexpr size_t kMaxFiles = 10'000;

std::string TextOf(const timespec& time) { return absl::StrCat(time.tv_sec, ".", time.tv_nsec); }

}  // namespace

std::string FileFingerprint(const std::string& file) {
  struct stat status;
  if (stat(file.c_str(), &status) != 0) return "";
  // The time of the inode's last change, too: tar and rsync set the other one as it was.
  return absl::StrCat(status.st_size, " ", TextOf(status.st_mtim), " ", TextOf(status.st_ctim), " ",
                      status.st_ino);
}

std::string FolderFingerprint(const std::string& folder) {
  std::vector<std::string> lines;
  std::error_code error;
  fs::recursive_directory_iterator next(folder, fs::directory_options::follow_directory_symlink, error);
  for (const fs::recursive_directory_iterator end; !error && next != end; next.increment(error)) {
    if (absl::StartsWith(next->path().filename().string(), ".")) {
      next.disable_recursion_pending();
      continue;
    }
    if (next.depth() >= kMaxDepth) next.disable_recursion_pending();
    const std::string file = FileFingerprint(next->path().string());
    if (file.empty()) continue;
    lines.push_back(absl::StrCat(next->path().lexically_relative(folder).string(), " ", file));
    if (lines.size() == kMaxFiles) break;
  }
  if (error) lines.push_back(error.message());
  std::sort(lines.begin(), lines.end());
  return absl::StrJoin(lines, "\n");
}

}  // namespace calserve
