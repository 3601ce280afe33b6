#include "server/refit_hooks.h"

#include <vector>

namespace calserve {

RefitController::Hooks ConnectRefits(const ServingTable& table, CalibrationMonitor& monitor, ReportHub& hub) {
  RefitController::Hooks hooks;
  hooks.served = [&table] {
    std::vector<CalibrationTarget> targets;
    for (const Snapshot& snapshot : table.List()) {
      const ServedModel& model = *snapshot.model;
      targets.push_back({model.name, model.version, model.classes(), model.digest});
    }
    return targets;
  };
  hooks.selection = [&table, &monitor](const MonitorKey& key) {
    const LabelArrivals::Summary arrivals =
        monitor.Arrivals(key);  // Before those issued: never more of them.
    return CompareLabelled(arrivals.labelled,
                           table.Issued(key.model, key.model_version, key.calibrator_version));
  };
  hooks.activated = [&hub] { hub.ActiveChanged(); };
  return hooks;
}

}  // namespace calserve
