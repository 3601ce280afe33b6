#ifndef CALSERVE_SERVER_CONFIG_ATTRIBUTE_KEYS_H_
#define CALSERVE_SERVER_CONFIG_ATTRIBUTE_KEYS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/config/yaml_file.h"
#include "server/monitoring/slice_keys.h"

namespace calserve {

// Reads `attributes` of model.yaml, in the order of the file:
//   attributes:
//     camera: [north, south]   # these have windows of their own
//     site: any                # the first 32 values have
// Appends what is wrong to `problems`.
void ReadAttributeKeys(const std::string& path, const YamlValue& value, SliceKeys* keys,
                       std::vector<absl::Status>* problems);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_ATTRIBUTE_KEYS_H_
