#include "calibration_io/alarm_proto.h"

namespace calserve {
namespace {

constexpr int64_t kMicros = 1'000'000;

void PointToProto(const LogPoint& point, v1::LogPosition* out) {
  out->set_position(point.position);
  int64_t seconds = point.time_micros / kMicros;
  if (point.time_micros < seconds * kMicros) --seconds;
  out->mutable_time()->set_seconds(seconds);
  out->mutable_time()->set_nanos(static_cast<int32_t>(1000 * (point.time_micros - seconds * kMicros)));
}

LogPoint PointFromProto(const v1::LogPosition& position) {
  return {position.position(), kMicros * position.time().seconds() + position.time().nanos() / 1000};
}

v1::AlarmState StateOf(const AlarmStatus& status, bool active) {
  if (!active) return v1::ALARM_STATE_NOT_ACTIVE;
  return status.raised.has_value() ? v1::ALARM_STATE_RAISED : v1::ALARM_STATE_QUIET;
}

}  // namespace

v1::CalibrationAlarm AlarmToProto(const AlarmStatus& status, bool active) {
  v1::CalibrationAlarm out;
  out.set_state(StateOf(status, active));
  out.set_tolerance(status.options.tolerance);
  out.set_alpha(status.options.alpha);
  out.set_labels(status.labels);
  out.set_e_overconfident(status.e_overconfident);
  out.set_e_underconfident(status.e_underconfident);
  out.set_threshold(status.threshold);
  out.set_e_exact(status.e_exact);
  if (status.raised.has_value()) {
    out.set_direction(status.raised->direction == GapDirection::kOverconfident
                          ? v1::GAP_DIRECTION_OVERCONFIDENT
                          : v1::GAP_DIRECTION_UNDERCONFIDENT);
    PointToProto(status.raised->since, out.mutable_since());
    PointToProto(status.raised->change_point, out.mutable_change_point());
  }
  out.set_acknowledgements(status.acknowledgements);
  if (status.acknowledged.has_value()) PointToProto(*status.acknowledged, out.mutable_acknowledged());
  return out;
}

AlarmStatus AlarmFromProto(const v1::CalibrationAlarm& alarm) {
  AlarmStatus out;
  out.options = {alarm.tolerance(), alarm.alpha()};
  out.labels = alarm.labels();
  out.e_overconfident = alarm.e_overconfident();
  out.e_underconfident = alarm.e_underconfident();
  out.threshold = alarm.threshold();
  out.e_exact = alarm.e_exact();
  if (alarm.has_since()) {
    out.raised = {alarm.direction() == v1::GAP_DIRECTION_OVERCONFIDENT ? GapDirection::kOverconfident
                                                                       : GapDirection::kUnderconfident,
                  PointFromProto(alarm.since()), PointFromProto(alarm.change_point())};
  }
  out.acknowledgements = alarm.acknowledgements();
  if (alarm.has_acknowledged()) out.acknowledged = PointFromProto(alarm.acknowledged());
  return out;
}

}  // namespace calserve
