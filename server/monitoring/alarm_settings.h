#ifndef CALSERVE_SERVER_MONITORING_ALARM_SETTINGS_H_
#define CALSERVE_SERVER_MONITORING_ALARM_SETTINGS_H_

#include "calibration/calibration_alarm.h"
#include "server/monitoring/model_settings.h"
#include "server/monitoring/slice_keys.h"

namespace calserve {

// The alarm's options of each model.
using AlarmSettings = ModelSettings<AlarmOptions>;
// The attributes by which each model's labels are sliced.
using SliceSettings = ModelSettings<SliceKeys>;

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_ALARM_SETTINGS_H_
