#ifndef CALSERVE_SERVER_PREDICTION_TRAFFIC_SPLIT_H_
#define CALSERVE_SERVER_PREDICTION_TRAFFIC_SPLIT_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace calserve {

// Where a key falls among the requests of a model: the same on every replica and after every restart, and
// independent from model to model.
uint64_t RoutingHash(absl::string_view model, absl::string_view key);

// The share that a hash falls in; shares lie in their order, as long as their weights (>= 0, one of them
// > 0). When one of two weights grows, no key leaves its share.
size_t PickShare(absl::Span<const int> weights, uint64_t hash);

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_TRAFFIC_SPLIT_H_
