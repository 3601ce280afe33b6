#ifndef CALSERVE_SERVER_FEEDBACK_KEY_RING_H_
#define CALSERVE_SERVER_FEEDBACK_KEY_RING_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace calserve {

struct TicketKey {
  uint64_t id = 0;
  std::array<uint8_t, 32> key{};
  absl::Time may_seal_from;
};

// The keys of a ring file. A value; never empty.
//
// The file is text, a key a line; empty lines and lines starting with '#' are skipped:
//
//   ID KEY MAY_SEAL_FROM
//   7d1f0a52c93be864 5c1b…64 hex digits…09af 2026-01-31T00:00:00Z
//
// ID: 16 hex digits, unique in the file. KEY: 32 random bytes as 64 hex digits. MAY_SEAL_FROM: RFC 3339. To
// rotate, add a line whose time is later than every server will have read the file by; remove a key no
// earlier than feedback_ttl after the next one began to seal. KeepsSecret says who may read the file.
class KeyRing {
 public:
  // INVALID_ARGUMENT with the number of the offending line; key material is never in a message.
  static absl::StatusOr<KeyRing> Parse(absl::string_view text);

  // The newest key that may seal at `now`; the one that comes first if none may yet.
  const TicketKey& Sealing(absl::Time now) const;
  // Null if there is none.
  const TicketKey* Find(uint64_t id) const;
  // By may_seal_from.
  const std::vector<TicketKey>& keys() const { return keys_; }

 private:
  explicit KeyRing(std::vector<TicketKey> keys) : keys_(std::move(keys)) {}

  std::vector<TicketKey> keys_;
};

// What tells that a file has changed.
struct FileVersion {
  uint64_t device = 0, inode = 0;
  int64_t size = -1;
  int64_t modified_nanos = 0, changed_nanos = 0;
  friend bool operator==(const FileVersion&, const FileVersion&) = default;
};

// NOT_FOUND if there is no such file.
absl::StatusOr<FileVersion> GetFileVersion(const std::string& path);

// Whether a file of this mode and owner is secret enough for keys, to a process that runs as `self`: only its
// owner may read it, or, where that is another user (an orchestrator mounts secrets as root's), its group.
bool KeepsSecret(uint32_t mode, uint32_t owner, uint32_t self);

struct KeyRingFile {
  KeyRing ring;
  FileVersion version;
};

// NOT_FOUND; PERMISSION_DENIED if it cannot be read; FAILED_PRECONDITION if it is no secret, if it is
// malformed, or if none of its keys may seal at `now`.
absl::StatusOr<KeyRingFile> ReadKeyRing(const std::string& path, absl::Time now);

// Writes a ring of one random key that may seal from `now`, mode 0600: whole and durable, or not at all.
absl::Status CreateKeyRing(const std::string& path, absl::Time now);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_KEY_RING_H_
