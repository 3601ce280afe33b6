#include "server/model/archive_check.h"

#include <unzip.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <system_error>
#include <type_traits>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/logging/log.h"

namespace calserve {
namespace {

constexpr unsigned kReadBytes = 1 << 20;
// Of what a list of parts may say, of one and of all.
constexpr uint64_t kLargestPart = uint64_t{1} << 60;
constexpr int64_t kMost = int64_t{1} << 61;
// minizip 1.1 takes what lies beyond for 4 GiB, or for not there.
constexpr int64_t kMostRead = (int64_t{1} << 32) - 1;
constexpr int64_t kDirectories = 8;  // that the files lie in, a block each

struct Close {
  void operator()(unzFile archive) const { unzClose(archive); }
};
using Archive = std::unique_ptr<std::remove_pointer_t<unzFile>, Close>;

// 0: there is none.
int64_t FileBytes(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

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

// Whether LibTorch unpacks this part of a package; the rest (its exported program, other models) stays
// packed.
bool IsUnpacked(absl::string_view part) {
  const size_t top = part.find('/');
  if (top == absl::string_view::npos) return false;
  part.remove_prefix(top + 1);
  return absl::StartsWith(part, "data/aotinductor/model/") || absl::StartsWith(part, "data/constants/");
}

}  // namespace

absl::Status CheckArchive(const std::string& path) {
  if (FileBytes(path) > kMostRead) {
    LogWarning("model file not checked against its checksums", {{"path", path}, {"reason", "beyond 4 GiB"}});
    return absl::OkStatus();
  }
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

int64_t UnpackedBytes(const std::string& path, int64_t block) {
  const Archive archive(unzOpen64(path.c_str()));
  if (archive == nullptr) return 0;
  int64_t blocks = 0;
  int found = unzGoToFirstFile(archive.get());
  for (; found == UNZ_OK; found = unzGoToNextFile(archive.get())) {
    unz_file_info64 part;
    char name[512] = "";
    if (unzGetCurrentFileInfo64(archive.get(), &part, name, sizeof(name) - 1, nullptr, 0, nullptr, 0) !=
        UNZ_OK)
      return 0;
    if (!IsUnpacked(name)) continue;
    const auto bytes = static_cast<int64_t>(std::min<uint64_t>(part.uncompressed_size, kLargestPart));
    blocks = std::min(blocks + (bytes + block - 1) / block, kMost / block);
  }
  if (found != UNZ_END_OF_LIST_OF_FILE || blocks == 0) return 0;
  if (const int64_t size = FileBytes(path); size > kMostRead) blocks = std::max(blocks, size / block);
  return (blocks + kDirectories) * block;
}

}  // namespace calserve
