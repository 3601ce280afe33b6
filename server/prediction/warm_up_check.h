#ifndef CALSERVE_SERVER_PREDICTION_WARM_UP_CHECK_H_
#define CALSERVE_SERVER_PREDICTION_WARM_UP_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/prediction/serving_table.h"
#include "server/prediction/warm_up_sample.h"

namespace calserve {

// Runs each sample alone, then all of them in batches, on the instances in turn, and compares. Returns a
// sentence for each disagreement, with the sample and what was expected; empty: all is well. UNAVAILABLE with
// the reason kDeviceLost. For a thread that ends (see LoadModel), before `model` serves.
absl::StatusOr<std::vector<std::string>> CheckWarmUpSamples(const std::vector<WarmUpSample>& samples,
                                                            const ServedModel& model);

// The same as a status: FAILED_PRECONDITION with the first sentences.
absl::Status WarmUpStatus(const std::vector<std::string>& disagreements);

}  // namespace calserve

#endif  // CALSERVE_SERVER_PREDICTION_WARM_UP_CHECK_H_
