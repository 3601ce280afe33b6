#ifndef CALSERVE_SERVER_CONFIG_WARM_UP_FILE_H_
#define CALSERVE_SERVER_CONFIG_WARM_UP_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/config/model_config.h"
#include "server/prediction/warm_up_sample.h"

namespace calserve {

// Reads a folder of warm-up samples, as docs/models.md has it: expected.json and the files that it names.
// Returns the samples that are right, none where something of the file is wrong that holds for all of them.
// Adds all that is wrong to `problems`: FILE:LINE, the rule and the value.
std::vector<WarmUpSample> ReadWarmUpSamples(const std::string& folder, const ModelConfig& model,
                                            std::vector<absl::Status>* problems);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_WARM_UP_FILE_H_
