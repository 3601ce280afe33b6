#ifndef CALSERVE_SERVER_RPC_KSERVE_DESCRIBE_H_
#define CALSERVE_SERVER_RPC_KSERVE_DESCRIBE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "inference/grpc_service.pb.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/prediction/serving_table.h"

namespace calserve::kserve {

// What KServe v2 says of a model version.

// The task, the input's data types, the calibrator that answers with its parameters, and the ECE of its
// labels in that window, if there are any. Parameters of more than 64 values are left out.
using Properties = std::map<std::string, std::string>;
Properties PropertiesOf(const Snapshot& snapshot, CalibrationMonitor& monitor, const std::string& window);

// Of the configured windows the one that metadata has the ECE of: last_1000, else the first; empty if none
// is.
std::string EceWindow(const std::vector<std::string>& windows);

// `versions`: of this model, those that can be asked.
void Describe(const ServedModel& model, const std::vector<int64_t>& versions, const Properties& properties,
              inference::ModelMetadataResponse& to);
void Describe(const ServedModel& model, const Properties& properties, inference::ModelConfig& to);
void Describe(const ServedModel& model, inference::ModelStatistics& to);

}  // namespace calserve::kserve

#endif  // CALSERVE_SERVER_RPC_KSERVE_DESCRIBE_H_
