#ifndef CALSERVE_SERVER_SERVED_REPOSITORY_H_
#define CALSERVE_SERVER_SERVED_REPOSITORY_H_

#include <memory>

#include "server/config/model_config.h"
#include "server/config/server_config.h"
#include "server/feedback/class_names.h"
#include "server/model/model_repository.h"
#include "server/monitoring/alarm_settings.h"
#include "server/prediction/served_version.h"
#include "server/prediction/serving_table.h"
#include "server/recalibration/calibrator_registry.h"
#include "server/recalibration/refit_policy.h"

namespace calserve {

// Connects the repository of versions with the rooms that it knows nothing of: config reads the directory,
// prediction loads and serves, recalibration has the calibrators and is told of the refits' policies,
// feedback keeps the class names, monitoring is told of the alarms' options and of the slices. All outlive
// the repository. LibTorch's threads follow what the directory holds
// when a version is loaded.
RepositoryHooks ConnectRepository(const ServerConfig& config, CalibratorRegistry& registry,
                                  ClassNames& class_names, ServingTable& table, AlarmSettings& alarms,
                                  SliceSettings& slices, RefitSettings& refits, DeviceLostHook device_lost);

// Whether the CPU is what it is configured for, or what is left for it. Looks for a GPU for whatever may want
// one: to be asked of every model before any of them runs (torch_device.h).
bool RunsOnCpu(const ModelConfig& model);

// As a snapshot carries it; null where the version's parameters make no calibrator.
std::shared_ptr<const ServedCalibrator> ToServed(const CalibratorVersion& version);

// What one version is loaded with.
ServedModelOptions LoadingOptions(const ServerConfig& config, const ModelConfig& model,
                                  const ModelConfig::Version& version);

}  // namespace calserve

#endif  // CALSERVE_SERVER_SERVED_REPOSITORY_H_
