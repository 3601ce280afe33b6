#include "server/config/text_file.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/status_macros.h"
#include "server/config/regular_file.h"
#include "text/characters.h"

namespace calserve {
namespace {

constexpr uintmax_t kMaxBytes = uintmax_t{16} << 20;
constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";  // which some editors put first

}  // namespace

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  RETURN_IF_ERROR(CheckRegularFile(path));  // Opening a pipe would wait for a writer, for ever.
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return absl::InvalidArgumentError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  std::string text;
  for (std::istreambuf_iterator<char> next(file), end; next != end; ++next) {
    if (text.size() == kMaxBytes) {
      return absl::InvalidArgumentError(absl::StrCat(path, " is larger than ", kMaxBytes >> 20, " MiB"));
    }
    text.push_back(*next);
  }
  if (file.bad()) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  if (const size_t invalid = FirstInvalidUtf8(text); invalid != std::string::npos) {
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(invalid), '\n');
    return absl::InvalidArgumentError(absl::StrCat(path, ":", line, ": must be UTF-8; has the byte 0x",
                                                   absl::Hex(static_cast<uint8_t>(text[invalid])),
                                                   ": save the file as UTF-8"));
  }
  if (absl::StartsWith(text, kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

}  // namespace calserve
