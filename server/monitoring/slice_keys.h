#ifndef CALSERVE_SERVER_MONITORING_SLICE_KEYS_H_
#define CALSERVE_SERVER_MONITORING_SLICE_KEYS_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace calserve {

inline constexpr int kMaxSliceKeys = 8;     // of a model
inline constexpr int kMaxSliceValues = 32;  // of a key, beside kOtherSlice
// Counts what has no slice of its own; so no value of this name can have one.
inline constexpr char kOtherSlice[] = "other";

// An attribute by whose values a model's labels are counted apart.
struct SliceKey {
  std::string key;
  std::vector<std::string> values;  // what has a slice; empty: the first kMaxSliceValues that labels bring
  friend bool operator==(const SliceKey&, const SliceKey&) = default;
};

// Those of a model, of different keys; at most kMaxSliceKeys.
using SliceKeys = std::vector<SliceKey>;

// Those of a model; nullopt where they are not known. Must not wait.
using SliceKeysLookup = std::function<std::optional<SliceKeys>(const std::string& model)>;

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_SLICE_KEYS_H_
