#include "server/base/uuid.h"

#include "absl/random/random.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace calserve {

Uuid Uuid::NewV7(absl::Time now) {
  thread_local absl::BitGen bits;  // Seeded from the operating system, one a thread.
  const uint64_t millis = static_cast<uint64_t>(absl::ToUnixMillis(now));
  const uint64_t high = (millis << 16) | 0x7000u | absl::Uniform<uint64_t>(bits, 0, 0x1000);
  const uint64_t low = (uint64_t{1} << 63) | (absl::Uniform<uint64_t>(bits) >> 2);
  Uuid id;
  for (int i = 0; i < 8; ++i) {
    id.bytes[i] = static_cast<uint8_t>(high >> (56 - 8 * i));
    id.bytes[8 + i] = static_cast<uint8_t>(low >> (56 - 8 * i));
  }
  return id;
}

std::string Uuid::ToString() const {
  const std::string hex =
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  const absl::string_view h = hex;
  return absl::StrCat(h.substr(0, 8), "-", h.substr(8, 4), "-", h.substr(12, 4), "-", h.substr(16, 4), "-",
                      h.substr(20));
}

}  // namespace calserve
