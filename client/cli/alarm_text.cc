#include "client/cli/alarm_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/json_output.h"

namespace calserve::cli {
namespace {

std::string PointText(const LogPoint& point) {
  return absl::StrCat("label ", point.position, " (", TimeText(absl::FromUnixMicros(point.time_micros)), ")");
}

std::string FoundText(const AlarmStatus& status) {
  const RaisedAlarm& raised = *status.raised;
  const bool over = raised.direction == GapDirection::kOverconfident;
  return absl::StrCat(DirectionName(raised.direction), " since ", PointText(raised.since), ", begun about ",
                      PointText(raised.change_point), "; e-value ",
                      EValueText(over ? status.e_overconfident : status.e_underconfident), " of ",
                      EValueText(status.threshold));
}

std::string QuietText(const AlarmStatus& status) {
  return absl::StrCat("e-values ", EValueText(status.e_overconfident), " over, ",
                      EValueText(status.e_underconfident), " under, of ", EValueText(status.threshold), "; ",
                      status.labels, " labels");
}

}  // namespace

const char* StateName(client::AlarmInfo::State state) {
  switch (state) {
    case client::AlarmInfo::State::kQuiet:
      return "QUIET";
    case client::AlarmInfo::State::kRaised:
      return "RAISED";
    case client::AlarmInfo::State::kNotActive:
      return "NOT_ACTIVE";
    case client::AlarmInfo::State::kUnknown:
      break;
  }
  return "UNKNOWN";
}

const char* DirectionName(GapDirection direction) {
  return direction == GapDirection::kOverconfident ? "overconfident" : "underconfident";
}

std::string EValueText(double e_value) {
  return absl::StrFormat(e_value >= 100 && e_value < 1e6 ? "%.0f" : "%.2g", e_value);
}

std::string AlarmLine(const client::AlarmInfo& alarm) {
  const std::string text =
      alarm.status.raised.has_value() ? FoundText(alarm.status) : QuietText(alarm.status);
  switch (alarm.state) {
    case client::AlarmInfo::State::kRaised:
      return absl::StrCat("ALARM: ", text);
    case client::AlarmInfo::State::kNotActive:
      return absl::StrCat("not active, no alarm: ", text);
    default:
      return absl::StrCat("no alarm: ", text);
  }
}

}  // namespace calserve::cli
