#ifndef CALSERVE_SERVER_REFIT_HOOKS_H_
#define CALSERVE_SERVER_REFIT_HOOKS_H_

#include "server/monitoring/calibration_monitor.h"
#include "server/monitoring/report_hub.h"
#include "server/prediction/serving_table.h"
#include "server/recalibration/refit_controller.h"

namespace calserve {

// Connects automatic refits with the room that they know nothing of: what is served, and how its labels
// compare with all of its predictions; and those who watch with what it activates. All outlive the
// controller.
RefitController::Hooks ConnectRefits(const ServingTable& table, CalibrationMonitor& monitor, ReportHub& hub);

}  // namespace calserve

#endif  // CALSERVE_SERVER_REFIT_HOOKS_H_
