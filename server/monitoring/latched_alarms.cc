#include "server/monitoring/latched_alarms.h"

#include <utility>

#include "server/base/status_macros.h"

namespace calserve {

void LatchedAlarms::Keep(const MonitorKey& key, int64_t label_position, CalibrationAlarm alarm) {
  alarms_.insert_or_assign(key, Latched{label_position, std::move(alarm)});
  if (alarms_.size() <= kMaxAlarms) return;
  auto furthest = alarms_.begin();
  for (auto it = alarms_.begin(); it != alarms_.end(); ++it) {
    // Of the same label the last key: a slice goes before the whole.
    if (it->second.label_position <= furthest->second.label_position) furthest = it;
  }
  alarms_.erase(furthest);
}

std::optional<CalibrationAlarm> LatchedAlarms::Take(const MonitorKey& key) {
  auto node = alarms_.extract(key);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped().alarm);
}

const CalibrationAlarm* LatchedAlarms::Find(const MonitorKey& key) const {
  const auto it = alarms_.find(key);
  return it == alarms_.end() ? nullptr : &it->second.alarm;
}

bool LatchedAlarms::Acknowledge(const MonitorKey& key, const LogPoint& at) {
  const auto it = alarms_.find(key);
  return it != alarms_.end() && it->second.alarm.Acknowledge(at);
}

void LatchedAlarms::KeepOnly(absl::FunctionRef<bool(const MonitorKey&, const CalibrationAlarm&)> keep) {
  std::erase_if(alarms_, [&](const auto& each) { return !keep(each.first, each.second.alarm); });
}

void LatchedAlarms::Write(FoldWriter& writer) const {
  writer.Integer(static_cast<int64_t>(alarms_.size()));
  for (const auto& [key, latched] : alarms_) {
    writer.Key(key);
    writer.Integer(latched.label_position);
    writer.Text(latched.alarm.Serialize());
  }
}

absl::StatusOr<LatchedAlarms> LatchedAlarms::Read(FoldReader& reader) {
  LatchedAlarms read;
  ASSIGN_OR_RETURN(const int64_t count, reader.Integer());
  for (int64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const MonitorKey key, reader.Key());
    ASSIGN_OR_RETURN(const int64_t label_position, reader.Integer());
    ASSIGN_OR_RETURN(const absl::string_view bytes, reader.Text());
    ASSIGN_OR_RETURN(CalibrationAlarm alarm, CalibrationAlarm::Deserialize(bytes));
    read.Keep(key, label_position, std::move(alarm));
  }
  return read;
}

}  // namespace calserve
