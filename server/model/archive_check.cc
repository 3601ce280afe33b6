#include "server/model/archive_check.h"

#include <unzip.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

constexpr unsigned kReadBytes = 1 << 20;
// Of what a list of parts may say: no sum of them is beyond 64 bits.
constexpr uint64_t kLargestPart = uint64_t{1} << 40;

struct Close {
  void operator()(unzFile archive) const { unzClose(archive); }
};
using Archive = std::unique_ptr<std::remove_pointer_t<unzFile>, Close>;

// Of the part that the archive is at.
bool IsAsItsChecksumSays(unzFile archive, std::vector<char>* buffer) {
  if (unzOpenCurrentFile(archive) != UNZ_OK) return false;
  int read = 0;
  do {
    read = unzReadCurrentFile(archive, buffer->data(), kReadBytes);
  } while (read > 0);
  const bool same = unzCloseCurrentFile(archive) == UNZ_OK;
  return read == 0 && same;
}

}  // namespace

absl::Status CheckArchive(const std::string& path) {
  const Archive archive(unzOpen64(path.c_str()));
  if (archive == nullptr) return absl::OkStatus();
  std::vector<char> buffer(kReadBytes);
  int found = unzGoToFirstFile(archive.get());
  for (; found == UNZ_OK; found = unzGoToNextFile(archive.get())) {
    if (IsAsItsChecksumSays(archive.get(), &buffer)) continue;
    char name[512] = "";
    unzGetCurrentFileInfo64(archive.get(), nullptr, name, sizeof(name) - 1, nullptr, 0, nullptr, 0);
    return absl::InvalidArgumentError(absl::StrCat(path, " is damaged, or not fully copied yet: its part '",
                                                   name, "' is not as its checksum says"));
  }
  if (found == UNZ_END_OF_LIST_OF_FILE) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, " is damaged, or not fully copied yet: its list of parts cannot be read"));
}

int64_t UnpackedBytes(const std::string& path) {
  const Archive archive(unzOpen64(path.c_str()));
  if (archive == nullptr) return 0;
  int64_t bytes = 0;
  int found = unzGoToFirstFile(archive.get());
  for (; found == UNZ_OK; found = unzGoToNextFile(archive.get())) {
    unz_file_info64 part;
    if (unzGetCurrentFileInfo64(archive.get(), &part, nullptr, 0, nullptr, 0, nullptr, 0) != UNZ_OK) return 0;
    bytes += static_cast<int64_t>(std::min<uint64_t>(part.uncompressed_size, kLargestPart));
  }
  return found == UNZ_END_OF_LIST_OF_FILE ? bytes : 0;
}

}  // namespace calserve
