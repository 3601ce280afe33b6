#ifndef CALSERVE_SERVER_CONFIG_VALUES_H_
#define CALSERVE_SERVER_CONFIG_VALUES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace calserve {

// Values as people write them in configuration, and back. Each pair round-trips. nullopt: not such a value.

// A whole number: "1024".
std::optional<int64_t> CountFromText(absl::string_view text);

// Not negative, with a unit: "250ms", "30s", "1h30m", "14d"; or "0".
std::optional<absl::Duration> DurationFromText(absl::string_view text);
std::string DurationToText(absl::Duration duration);

// Not negative: "256MiB", "64KiB", "1GiB", "512B", or bytes: "512".
std::optional<int64_t> BytesFromText(absl::string_view text);
std::string BytesToText(int64_t bytes);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_VALUES_H_
