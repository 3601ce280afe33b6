#include "server/monitoring/window_fold.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/monitoring/fold_codec.h"

namespace calserve {

namespace {

// How long ago, in labels for each key held, a label was that nobody will miss.
constexpr int64_t kRecentLabels = 100;

// Fingerprints once had how many keys are held, which changes no window of those that are.
std::string WithoutMaxKeys(absl::string_view fingerprint) {
  const size_t begin = fingerprint.find(" max_keys="), end = fingerprint.find(" windows=");
  if (begin == absl::string_view::npos || end == absl::string_view::npos) return std::string(fingerprint);
  return absl::StrCat(fingerprint.substr(0, begin), fingerprint.substr(end));
}

}  // namespace

std::string WindowFoldConfig::Fingerprint() const {
  std::string text = absl::StrCat("bins=", bins, " window_max_labels=", window_max_labels,
                                  " slice_max_labels=", slice_max_labels, " windows=");
  for (const WindowSpec& window : windows) absl::StrAppend(&text, window.name, ",");
  return text;
}

int64_t WindowFoldConfig::SliceBound() const {
  int64_t bound = slice_max_labels;
  for (const WindowSpec& window : windows) {
    if (window.kind == WindowSpec::Kind::kLastCount) bound = std::max(bound, window.count);
  }
  return std::min(bound, window_max_labels);
}

absl::StatusOr<std::unique_ptr<WindowFold>> WindowFold::Create(WindowFoldConfig config) {
  if (config.max_keys < 1) {
    return absl::InvalidArgumentError(absl::StrCat("max_keys must be >= 1; was ", config.max_keys));
  }
  if (config.slice_max_labels < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("slice_max_labels must be >= 1; was ", config.slice_max_labels));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<RollingWindows> empty,
                   RollingWindows::Create(config.windows, config.bins, config.window_max_labels));
  return absl::WrapUnique(new WindowFold(std::move(config), std::move(empty)));
}

int64_t WindowFold::BoundOf(const MonitorKey& key) const {
  return key.slice.whole() ? config_.window_max_labels : config_.SliceBound();
}

absl::StatusOr<std::unique_ptr<RollingWindows>> WindowFold::NewWindows(const MonitorKey& key) const {
  return RollingWindows::Create(config_.windows, config_.bins, BoundOf(key));
}

SliceTable WindowFold::Slices(const std::string& model) const {
  const auto known = tables_.find(model);
  return known != tables_.end() ? known->second : SliceTable(config_.slice_keys(model).value_or(SliceKeys()));
}

CalibrationAlarm WindowFold::NewAlarm(const MonitorKey& key, const SliceTable& table) const {
  const AlarmOptions model = config_.alarm_options(key.model).value_or(AlarmOptions());
  return CalibrationAlarm::Create(ShareOf(key.slice, table, model)).value_or(CalibrationAlarm());
}

CalibrationAlarm WindowFold::TakeAlarm(const MonitorKey& key, const SliceTable& table) {
  std::optional<CalibrationAlarm> latched = latched_.Take(key);
  return latched.has_value() ? *std::move(latched) : NewAlarm(key, table);
}

bool WindowFold::GoesOn(const MonitorKey& key, const SliceTable& table, const CalibrationAlarm& alarm) const {
  const std::optional<AlarmOptions> model = config_.alarm_options(key.model);
  if (!model.has_value() || ShareOf(key.slice, table, *model) == alarm.options()) return true;
  const bool share_alone =
      key.slice.whole() && alarm.options() == ShareOfWhole(*model, /*sliced=*/table.empty());
  return share_alone && alarm.raised();
}

absl::StatusOr<WindowFold::Keys::iterator> WindowFold::FindOrAdd(const MonitorKey& key) {
  if (last_ != keys_.end() && last_->first == key) return last_;
  if (auto it = keys_.find(key); it != keys_.end()) return it;
  ASSIGN_OR_RETURN(std::unique_ptr<RollingWindows> windows, NewWindows(key));
  SliceTable& table = tables_.try_emplace(key.model, Slices(key.model)).first->second;
  ++whole_keys_;
  return keys_.emplace(key, KeyState{0, std::move(windows), CalibrationAlarm(), {}, &table}).first;
}

absl::Status WindowFold::Fold(const MonitorKey& key, int64_t position, const WindowLabel& label,
                              const Attributes& attributes) {
  ASSIGN_OR_RETURN(const Keys::iterator it, FindOrAdd(key));
  const bool added = it->second.label_position == 0;
  if (const absl::Status status = it->second.windows->Push(label); !status.ok()) {
    if (added) {  // For this label.
      keys_.erase(it);
      --whole_keys_;
    }
    last_ = keys_.end();
    return status;
  }
  if (added) it->second.alarm = TakeAlarm(key, *it->second.table);
  it->second.label_position = position;
  it->second.alarm.Push(label.served.confidence, label.served.correct, {position, label.time_micros});
  last_ = it;
  last_time_micros_ = std::max(last_time_micros_, label.time_micros);
  if (added && keys() > config_.max_keys) {
    if (position - MakeRoom() <= kRecentLabels * config_.max_keys) ++dropped_keys_;
  }
  if (attributes.empty() || it->second.table->empty()) return absl::OkStatus();
  return FoldSlices(it, position, label, attributes);
}

absl::Status WindowFold::FoldSlices(Keys::iterator whole, int64_t position, const WindowLabel& label,
                                    const Attributes& attributes) {
  numbers_.clear();
  for (size_t i = 0; i < attributes.size(); ++i) {
    const auto& [key, value] = attributes[i];
    const bool again = std::any_of(attributes.begin(), attributes.begin() + static_cast<std::ptrdiff_t>(i),
                                   [&key = key](const auto& before) { return before.first == key; });
    if (!again) whole->second.table->Assign(key, value, &numbers_);
  }
  for (const int64_t number : numbers_) {
    ASSIGN_OR_RETURN(KeyState* const slice, FindOrAddSlice(whole, number));
    RETURN_IF_ERROR(slice->windows->Push(label));  // Cannot fail: the whole key took it.
    slice->label_position = position;
    slice->alarm.Push(label.served.confidence, label.served.correct, {position, label.time_micros});
  }
  return absl::OkStatus();
}

absl::StatusOr<WindowFold::KeyState*> WindowFold::FindOrAddSlice(Keys::iterator whole, int64_t number) {
  KeyState*& slice = whole->second.slices[number];
  if (slice != nullptr) return slice;
  MonitorKey key = whole->first;
  for (const Slice& each : whole->second.table->slices()) {
    if (whole->second.table->NumberOf(each) == number) key.slice = each;
  }
  ASSIGN_OR_RETURN(std::unique_ptr<RollingWindows> windows, NewWindows(key));
  CalibrationAlarm alarm = TakeAlarm(key, *whole->second.table);
  slice = &keys_.emplace(key, KeyState{0, std::move(windows), std::move(alarm)}).first->second;
  return slice;
}

int64_t WindowFold::MakeRoom() {
  auto oldest = keys_.end();
  for (auto it = keys_.begin(); it != keys_.end(); ++it) {
    const bool older = oldest == keys_.end() || it->second.label_position < oldest->second.label_position;
    if (it->first.slice.whole() && older) oldest = it;
  }
  const auto end = std::next(oldest, static_cast<std::ptrdiff_t>(oldest->second.slices.size()) + 1);
  for (auto it = oldest; it != end; ++it) {
    const CalibrationAlarm& alarm = it->second.alarm;
    if (alarm.raised() || alarm.Status().acknowledgements > 0) {
      latched_.Keep(it->first, it->second.label_position, alarm);
    }
  }
  const int64_t last_label = oldest->second.label_position;
  keys_.erase(oldest, end);
  --whole_keys_;
  return last_label;
}

WindowMetrics WindowFold::Report(const MonitorKey& key, int index, int64_t now_micros) {
  const auto it = keys_.find(key);
  RollingWindows& windows = it == keys_.end() ? *empty_ : *it->second.windows;
  return windows.Report(index, std::max(now_micros, last_time_micros_));
}

void WindowFold::Age(int64_t now_micros) {
  for (auto& [key, state] : keys_) {
    for (size_t i = 0; i < config_.windows.size(); ++i) {
      if (config_.windows[i].kind != WindowSpec::Kind::kLastDuration) continue;
      state.windows->Report(static_cast<int>(i), std::max(now_micros, last_time_micros_));
    }
  }
}

AlarmStatus WindowFold::Alarm(const MonitorKey& key) const {
  if (const auto it = keys_.find(key); it != keys_.end()) return it->second.alarm.Status();
  const CalibrationAlarm* const latched = latched_.Find(key);
  return latched != nullptr ? latched->Status() : NewAlarm(key, Slices(key.model)).Status();
}

bool WindowFold::Acknowledge(const MonitorKey& key, const LogPoint& at) {
  const auto it = keys_.find(key);
  return it != keys_.end() ? it->second.alarm.Acknowledge(at) : latched_.Acknowledge(key, at);
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
  WriteTables(writer);
  writer.Integer(static_cast<int64_t>(keys_.size()));
  for (const auto& [key, state] : keys_) {
    writer.Key(key);
    writer.Integer(state.label_position);
    writer.Text(state.alarm.Serialize());
  }
  latched_.Write(writer);
  return std::move(writer).Finish();
}

std::string WindowFold::SerializeSlices() const {
  const bool none = std::all_of(tables_.begin(), tables_.end(),
                                [](const auto& table) { return table.second.next_number() == 0; });
  if (none) return "";
  FoldWriter writer;
  WriteTables(writer);
  return std::move(writer).Finish();
}

absl::Status WindowFold::RestoreSlices(absl::string_view slices) {
  FoldReader reader(slices);
  ASSIGN_OR_RETURN(auto tables, ReadTables(reader));
  RETURN_IF_ERROR(reader.Finish());
  tables_ = std::move(tables);
  return absl::OkStatus();
}

void WindowFold::WriteTables(FoldWriter& writer) const {
  writer.Integer(static_cast<int64_t>(tables_.size()));
  for (const auto& [model, table] : tables_) {
    writer.Text(model);
    table.Write(writer);
  }
}

WindowsState WindowFold::StateOf(const MonitorKey& key) const { return keys_.at(key).windows->State(); }

absl::StatusOr<std::map<std::string, SliceTable>> WindowFold::ReadTables(FoldReader& reader) const {
  ASSIGN_OR_RETURN(const int64_t count, reader.Integer());
  std::map<std::string, SliceTable> tables;
  for (int64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const absl::string_view text, reader.Text());
    const std::string model(text);
    ASSIGN_OR_RETURN(SliceTable table, SliceTable::Read(reader));
    const std::optional<SliceKeys> declared = config_.slice_keys(model);
    tables.emplace(model, declared.has_value() ? table.Redeclared(*declared) : std::move(table));
  }
  return tables;
}

absl::StatusOr<WindowFold::Keys> WindowFold::ReadKeys(FoldReader& reader) const {
  ASSIGN_OR_RETURN(const int64_t count, reader.Integer());
  Keys keys;
  for (int64_t i = 0; i < count; ++i) {
    KeyState state;
    ASSIGN_OR_RETURN(MonitorKey key, reader.Key());
    ASSIGN_OR_RETURN(state.label_position, reader.Integer());
    ASSIGN_OR_RETURN(const absl::string_view alarm, reader.Text());
    ASSIGN_OR_RETURN(state.alarm, CalibrationAlarm::Deserialize(alarm));
    keys.emplace(std::move(key), std::move(state));
  }
  return keys;
}

absl::Status WindowFold::Restore(absl::string_view head,
                                 absl::FunctionRef<absl::StatusOr<std::string>(const HeldKey&)> windows_of) {
  FoldReader reader(head);
  ASSIGN_OR_RETURN(const absl::string_view fingerprint, reader.Text());
  if (WithoutMaxKeys(fingerprint) != config_.Fingerprint()) {
    return absl::FailedPreconditionError(absl::StrCat("the windows were configured otherwise: then ",
                                                      fingerprint, "; now ", config_.Fingerprint()));
  }
  ASSIGN_OR_RETURN(const int64_t last_time_micros, reader.Integer());
  ASSIGN_OR_RETURN(auto tables, ReadTables(reader));
  ASSIGN_OR_RETURN(Keys keys, ReadKeys(reader));
  ASSIGN_OR_RETURN(LatchedAlarms latched, LatchedAlarms::Read(reader));
  RETURN_IF_ERROR(reader.Finish());
  for (const auto& [key, state] : keys) {
    if (!key.slice.whole() && !keys.contains({key.model, key.model_version, key.calibrator_version}))
      return absl::DataLossError("a slice without the whole model's windows");
  }
  const auto known = [&](const MonitorKey& key) {
    return key.slice.whole() || tables[key.model].NumberOf(key.slice).has_value();
  };
  std::erase_if(keys, [&](const auto& held) { return !known(held.first); });
  latched.KeepOnly([&](const MonitorKey& key, const CalibrationAlarm& alarm) {
    return known(key) && GoesOn(key, tables[key.model], alarm);
  });
  for (auto& [key, state] : keys) {
    ASSIGN_OR_RETURN(const std::string windows, windows_of({key, state.label_position}));
    ASSIGN_OR_RETURN(state.windows,
                     RollingWindows::Deserialize(windows, config_.windows, config_.bins, BoundOf(key)));
  }
  tables_ = std::move(tables);
  keys_ = std::move(keys);
  latched_ = std::move(latched);
  last_ = keys_.end();
  last_time_micros_ = last_time_micros;
  Link();
  while (whole_keys_ > config_.max_keys) MakeRoom();
  return absl::OkStatus();
}

// What keys that were read point to; and their alarms, where other options hold now.
void WindowFold::Link() {
  KeyState* whole = nullptr;
  whole_keys_ = 0;
  for (auto& [key, state] : keys_) {
    SliceTable& table = tables_[key.model];
    if (!GoesOn(key, table, state.alarm)) state.alarm = NewAlarm(key, table);
    if (key.slice.whole()) {
      whole = &state;
      ++whole_keys_;
      state.table = &table;
    } else {
      whole->slices[*table.NumberOf(key.slice)] = &state;
    }
  }
}

}  // namespace calserve
