#ifndef CALSERVE_SERVER_RPC_REFIT_CONVERT_H_
#define CALSERVE_SERVER_RPC_REFIT_CONVERT_H_

#include "calserve/v1/calibration.pb.h"
#include "server/recalibration/calibrator_registry.h"
#include "server/recalibration/paired_rows.h"
#include "server/recalibration/refit_controller.h"

namespace calserve {

v1::PairedComparison ToProto(const PairedResult& result, int64_t incumbent, int64_t candidate);
v1::GetRefitStatusResponse ToProto(const CalibrationTarget& target, const RefitStatus& status);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_REFIT_CONVERT_H_
