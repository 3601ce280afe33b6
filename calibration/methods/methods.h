#ifndef CALSERVE_CALIBRATION_METHODS_METHODS_H_
#define CALSERVE_CALIBRATION_METHODS_METHODS_H_

#include "calibration/method.h"

namespace calserve {

// One function a method, defined in its file. Only the table in method.cc calls them.
Method NoneMethod();
Method TemperatureMethod();
Method PlattMethod();
Method PlattOneVsRestMethod();
Method AdaptiveTemperatureMethod();
Method EnsembleTemperatureMethod();
Method BetaMethod();
Method BetaOneVsRestMethod();
Method VectorScalingMethod();
Method TopLabelIsotonicMethod();
Method IsotonicMethod();
Method IsotonicOneVsRestMethod();
Method HistogramMethod();
Method ScalingBinningMethod();

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_METHODS_METHODS_H_
