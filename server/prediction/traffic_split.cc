#include "server/prediction/traffic_split.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "calibration/stable_hash.h"

namespace calserve {
namespace {

// With its length, so that ("ab", "c") is not ("a", "bc").
void AddText(absl::string_view text, StableHash* hash) {
  hash->Add(text.size());
  while (!text.empty()) {
    uint64_t word = 0;
    const size_t taken = std::min(text.size(), sizeof(word));
    std::memcpy(&word, text.data(), taken);
    hash->Add(word);
    text.remove_prefix(taken);
  }
}

}  // namespace

uint64_t RoutingHash(absl::string_view model, absl::string_view key) {
  StableHash hash;
  AddText(model, &hash);
  AddText(key, &hash);
  return hash.value();
}

size_t PickShare(absl::Span<const int> weights, uint64_t hash) {
  const auto total = static_cast<double>(std::accumulate(weights.begin(), weights.end(), int64_t{0}));
  const double point = static_cast<double>(hash >> 11) * 0x1p-53 * total;  // [0, total)
  double end = 0;
  size_t last = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    end += weights[i];
    last = i;
    if (point < end) break;
  }
  return last;
}

}  // namespace calserve
