#include "server/config/regular_file.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace calserve {

namespace fs = std::filesystem;

absl::Status CheckRegularFile(const std::string& path) {
  std::error_code error, link_error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_regular_file(status)) return absl::OkStatus();
  const bool is_link = fs::is_symlink(fs::symlink_status(path, link_error));
  if (status.type() == fs::file_type::not_found && !is_link) {
    return absl::NotFoundError(absl::StrCat("no such file: ", path));
  }
  const auto refused = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(path, " ", what));
  };
  if (status.type() == fs::file_type::not_found) {
    return refused(
        absl::StrCat("is a link to nothing: there is no ", fs::read_symlink(path, link_error).string()));
  }
  if (is_link && error == std::errc::too_many_symbolic_link_levels) {
    return refused("is a link that leads back to itself");
  }
  if (error) return refused(absl::StrCat("cannot be looked at: ", error.message()));
  return refused(fs::is_directory(status) ? "is a directory, not a file" : "is not a regular file");
}

}  // namespace calserve
