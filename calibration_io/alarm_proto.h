#ifndef CALSERVE_CALIBRATION_IO_ALARM_PROTO_H_
#define CALSERVE_CALIBRATION_IO_ALARM_PROTO_H_

#include "calibration/calibration_alarm.h"
#include "calserve/v1/calibration.pb.h"

namespace calserve {

// `active`: the calibrator is the one that serves, so that what is raised is an alarm.
v1::CalibrationAlarm AlarmToProto(const AlarmStatus& status, bool active);
// All but the state.
AlarmStatus AlarmFromProto(const v1::CalibrationAlarm& alarm);

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_IO_ALARM_PROTO_H_
