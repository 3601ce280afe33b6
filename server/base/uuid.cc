#include "server/base/uuid.h"

#include "absl/random/random.h"

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
  std::string text;
  text.reserve(36);
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

}  // namespace calserve
