#include "server/monitoring/window_fold.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/monitoring/fold_codec.h"

namespace calserve {

std::string WindowFoldConfig::Fingerprint() const {
  std::string text = absl::StrCat("bins=", bins, " window_max_labels=", window_max_labels,
                                  " max_keys=", max_keys, " windows=");
  for (const WindowSpec& window : windows) absl::StrAppend(&text, window.name, ",");
  return text;
}

absl::StatusOr<std::unique_ptr<WindowFold>> WindowFold::Create(WindowFoldConfig config) {
  if (config.max_keys < 1) {
    return absl::InvalidArgumentError(absl::StrCat("max_keys must be >= 1; was ", config.max_keys));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<RollingWindows> empty,
                   RollingWindows::Create(config.windows, config.bins, config.window_max_labels));
  return absl::WrapUnique(new WindowFold(std::move(config), std::move(empty)));
}

absl::StatusOr<std::unique_ptr<RollingWindows>> WindowFold::NewWindows() const {
  return RollingWindows::Create(config_.windows, config_.bins, config_.window_max_labels);
}

CalibrationAlarm WindowFold::NewAlarm(const MonitorKey& key) const {
  const AlarmOptions options = config_.alarm_options(key.model).value_or(AlarmOptions());
  return CalibrationAlarm::Create(options).value_or(CalibrationAlarm());
}

absl::StatusOr<WindowFold::Keys::iterator> WindowFold::FindOrAdd(const MonitorKey& key) {
  if (last_ != keys_.end() && last_->first == key) return last_;
  if (auto it = keys_.find(key); it != keys_.end()) return it;
  ASSIGN_OR_RETURN(std::unique_ptr<RollingWindows> windows, NewWindows());
  return keys_.emplace(key, KeyState{0, std::move(windows), NewAlarm(key)}).first;
}

absl::Status WindowFold::Fold(const MonitorKey& key, int64_t position, const WindowLabel& label) {
  ASSIGN_OR_RETURN(const Keys::iterator it, FindOrAdd(key));
  if (const absl::Status status = it->second.windows->Push(label); !status.ok()) {
    if (it->second.label_position == 0) keys_.erase(it);  // Added for this label.
    last_ = keys_.end();
    return status;
  }
  const bool added = it->second.label_position == 0;
  it->second.label_position = position;
  it->second.alarm.Push(label.served.confidence, label.served.correct, {position, label.time_micros});
  last_ = it;
  last_time_micros_ = std::max(last_time_micros_, label.time_micros);
  if (added && keys() > config_.max_keys) {
    keys_.erase(std::min_element(keys_.begin(), keys_.end(), [](const auto& a, const auto& b) {
      return a.second.label_position < b.second.label_position;
    }));
  }
  return absl::OkStatus();
}

WindowMetrics WindowFold::Report(const MonitorKey& key, int index, int64_t now_micros) {
  const auto it = keys_.find(key);
  RollingWindows& windows = it == keys_.end() ? *empty_ : *it->second.windows;
  return windows.Report(index, std::max(now_micros, last_time_micros_));
}

AlarmStatus WindowFold::Alarm(const MonitorKey& key) const {
  const auto it = keys_.find(key);
  return it == keys_.end() ? NewAlarm(key).Status() : it->second.alarm.Status();
}

bool WindowFold::Acknowledge(const MonitorKey& key, const LogPoint& at) {
  const auto it = keys_.find(key);
  return it != keys_.end() && it->second.alarm.Acknowledge(at);
}

int64_t WindowFold::LabelPosition(const MonitorKey& key) const {
  const auto it = keys_.find(key);
  return it == keys_.end() ? 0 : it->second.label_position;
}

int64_t WindowFold::bytes() const {
  int64_t bytes = 0;
  for (const auto& [key, state] : keys_) bytes += state.windows->bytes();
  return bytes;
}

std::vector<WindowFold::HeldKey> WindowFold::held() const {
  std::vector<HeldKey> held;
  held.reserve(keys_.size());
  for (const auto& [key, state] : keys_) held.push_back({key, state.label_position});
  return held;
}

std::string WindowFold::SerializeHead() const {
  FoldWriter writer;
  writer.Text(config_.Fingerprint());
  writer.Integer(last_time_micros_);
  writer.Integer(keys());
  for (const auto& [key, state] : keys_) {
    writer.Text(key.model);
    writer.Integer(key.model_version);
    writer.Integer(key.calibrator_version);
    writer.Integer(state.label_position);
    writer.Text(state.alarm.Serialize());
  }
  return std::move(writer).Finish();
}

WindowsState WindowFold::StateOf(const MonitorKey& key) const { return keys_.at(key).windows->State(); }

absl::Status WindowFold::Restore(
    absl::string_view head, absl::FunctionRef<absl::StatusOr<std::string>(const MonitorKey&)> windows_of) {
  FoldReader reader(head);
  ASSIGN_OR_RETURN(const absl::string_view fingerprint, reader.Text());
  if (fingerprint != config_.Fingerprint()) {
    return absl::FailedPreconditionError(absl::StrCat("the windows were configured otherwise: then ",
                                                      fingerprint, "; now ", config_.Fingerprint()));
  }
  ASSIGN_OR_RETURN(const int64_t last_time_micros, reader.Integer());
  ASSIGN_OR_RETURN(const int64_t count, reader.Integer());
  Keys keys;
  for (int64_t i = 0; i < count; ++i) {
    MonitorKey key;
    KeyState state;
    ASSIGN_OR_RETURN(const absl::string_view model, reader.Text());
    key.model = std::string(model);
    ASSIGN_OR_RETURN(key.model_version, reader.Integer());
    ASSIGN_OR_RETURN(key.calibrator_version, reader.Integer());
    ASSIGN_OR_RETURN(state.label_position, reader.Integer());
    ASSIGN_OR_RETURN(const absl::string_view alarm, reader.Text());
    ASSIGN_OR_RETURN(state.alarm, CalibrationAlarm::Deserialize(alarm));
    const std::optional<AlarmOptions> options = config_.alarm_options(key.model);
    if (options.has_value() && *options != state.alarm.options()) state.alarm = NewAlarm(key);
    keys.emplace(std::move(key), std::move(state));
  }
  RETURN_IF_ERROR(reader.Finish());
  for (auto& [key, state] : keys) {
    ASSIGN_OR_RETURN(const std::string windows, windows_of(key));
    ASSIGN_OR_RETURN(state.windows, RollingWindows::Deserialize(windows, config_.windows, config_.bins,
                                                                config_.window_max_labels));
  }
  keys_ = std::move(keys);
  last_ = keys_.end();
  last_time_micros_ = last_time_micros;
  return absl::OkStatus();
}

}  // namespace calserve
