#ifndef CALSERVE_SERVER_CONFIG_MODEL_YAML_H_
#define CALSERVE_SERVER_CONFIG_MODEL_YAML_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/config/model_config.h"

namespace calserve {

// Reads a model.yaml into what of `config` comes from it, over the defaults that are there; adds everything
// that is wrong with it to `problems`, with FILE:LINE, the key, the value and what is allowed.
void ReadModelYaml(const std::string& path, ModelConfig* config, std::vector<absl::Status>* problems);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_MODEL_YAML_H_
