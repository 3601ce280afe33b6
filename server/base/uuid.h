#ifndef CALSERVE_SERVER_BASE_UUID_H_
#define CALSERVE_SERVER_BASE_UUID_H_

#include <array>
#include <compare>
#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace calserve {

// A UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits. A value.
struct Uuid {
  std::array<uint8_t, 16> bytes{};

  // A fresh id for `now`, unique across threads and processes (74 random bits). Thread-safe.
  static Uuid NewV7(absl::Time now);

  // Lower-case 8-4-4-4-12 text.
  std::string ToString() const;
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Uuid& id) {
    return H::combine_contiguous(std::move(h), id.bytes.data(), id.bytes.size());
  }
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_UUID_H_
