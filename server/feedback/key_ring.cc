#include "server/feedback/key_ring.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "server/base/status_macros.h"
#include "server/feedback/posix_file.h"

namespace calserve {
namespace {

constexpr int64_t kMaxFileBytes = 1 << 20;
constexpr char kHeader[] =
    "# calserve ticket keys: ID KEY MAY_SEAL_FROM, a key a line. Whoever has them can forge tickets.\n";

bool IsHex(absl::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), absl::ascii_isxdigit);
}

absl::StatusOr<TicketKey> ParseKey(absl::string_view line) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (fields.size() != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("want ID KEY MAY_SEAL_FROM; found ", fields.size(), " fields"));
  }
  TicketKey key;
  if (!IsHex(fields[0], 16) || !absl::SimpleHexAtoi(fields[0], &key.id)) {
    return absl::InvalidArgumentError("ID must be 16 hex digits");
  }
  if (!IsHex(fields[1], 2 * key.key.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("KEY must be 64 hex digits; it has ", fields[1].size(), " characters"));
  }
  const std::string bytes = absl::HexStringToBytes(fields[1]);
  std::memcpy(key.key.data(), bytes.data(), key.key.size());
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, fields[2], &key.may_seal_from, &error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("MAY_SEAL_FROM must be a time such as 2026-01-31T00:00:00Z; was ", fields[2]));
  }
  return key;
}

int64_t Nanos(const timespec& t) { return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; }

FileVersion ToFileVersion(const struct stat& info) {
  return {info.st_dev, info.st_ino, info.st_size, Nanos(info.st_mtim), Nanos(info.st_ctim)};
}

absl::Status CannotRead(const std::string& path, int error) {
  const std::string message =
      absl::StrCat("cannot read the ticket key file ", path, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

}  // namespace

absl::StatusOr<KeyRing> KeyRing::Parse(absl::string_view text) {
  std::vector<TicketKey> keys;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    absl::StatusOr<TicketKey> key = ParseKey(line);
    if (!key.ok())
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", key.status().message()));
    if (std::any_of(keys.begin(), keys.end(), [&](const TicketKey& other) { return other.id == key->id; })) {
      return absl::InvalidArgumentError(
          absl::StrFormat("line %d: the id %016x is there twice; ids must be unique", number, key->id));
    }
    keys.push_back(*key);
  }
  if (keys.empty()) return absl::InvalidArgumentError("no key in it; want ID KEY MAY_SEAL_FROM on a line");
  std::stable_sort(keys.begin(), keys.end(),
                   [](const TicketKey& a, const TicketKey& b) { return a.may_seal_from < b.may_seal_from; });
  return KeyRing(std::move(keys));
}

const TicketKey& KeyRing::Sealing(absl::Time now) const {
  for (auto key = keys_.rbegin(); key != keys_.rend(); ++key) {
    if (key->may_seal_from <= now) return *key;
  }
  return keys_.front();
}

const TicketKey* KeyRing::Find(uint64_t id) const {
  for (const TicketKey& key : keys_) {
    if (key.id == id) return &key;
  }
  return nullptr;
}

absl::StatusOr<FileVersion> GetFileVersion(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return CannotRead(path, errno);
  return ToFileVersion(info);
}

bool KeepsSecret(uint32_t mode, uint32_t owner, uint32_t self) {
  const uint32_t forbidden = owner == self ? S_IRWXG | S_IRWXO : S_IWGRP | S_IXGRP | S_IRWXO;
  return (mode & forbidden) == 0;
}

absl::StatusOr<KeyRingFile> ReadKeyRing(const std::string& path, absl::Time now) {
  // O_NONBLOCK: the opening of a named pipe would else wait until somebody writes to it.
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info;
  if (!file.ok() || fstat(file.get(), &info) != 0) return CannotRead(path, errno);
  if (!S_ISREG(info.st_mode) || info.st_size > kMaxFileBytes) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the ticket key file ", path, " must be a regular file of at most ", kMaxFileBytes, " bytes"));
  }
  if (!KeepsSecret(info.st_mode, info.st_uid, geteuid())) {
    return absl::FailedPreconditionError(
        absl::StrFormat("the ticket key file %s has mode %04o; only its owner may read it, or, where it is "
                        "another user's, its group: chmod 600 %s, and replace its keys if others may have "
                        "read them",
                        path, info.st_mode & 07777, path));
  }
  std::string text(info.st_size, '\0');
  const ssize_t size = pread(file.get(), text.data(), text.size(), 0);
  if (size < 0) return CannotRead(path, errno);
  text.resize(size);
  absl::StatusOr<KeyRing> ring = KeyRing::Parse(text);
  sodium_memzero(text.data(), text.size());
  if (!ring.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the ticket key file ", path, ": ", ring.status().message()));
  }
  if (const absl::Time first = ring->keys().front().may_seal_from; first > now) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the ticket key file ", path, " has no key that may seal yet: MAY_SEAL_FROM of the first is ",
        absl::FormatTime(absl::RFC3339_sec, first, absl::UTCTimeZone())));
  }
  return KeyRingFile{*std::move(ring), ToFileVersion(info)};
}

absl::Status CreateKeyRing(const std::string& path, absl::Time now) {
  TicketKey key;
  randombytes_buf(&key.id, sizeof(key.id));
  randombytes_buf(key.key.data(), key.key.size());
  const std::string text =
      absl::StrCat(kHeader, absl::Hex(key.id, absl::kZeroPad16), " ",
                   absl::BytesToHexString(
                       absl::string_view(reinterpret_cast<const char*>(key.key.data()), key.key.size())),
                   " ", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", now, absl::UTCTimeZone()), "\n");
  return WriteFileAtomically(path, text, 0600);
}

}  // namespace calserve
