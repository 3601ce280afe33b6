#include "server/monitoring/monitoring_options.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/feedback/store.h"

namespace calserve {
namespace {

absl::Status CheckKeyBytes(const MonitoringOptions& options, const WindowFold& fold) {
  if (fold.max_key_bytes() <= kMaxCheckpointPartBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "window_max_labels = ", options.window_max_labels,
      " with windows = ", absl::StrJoin(options.windows, ","), " takes up to ", fold.max_key_bytes(),
      " bytes a key, of which a checkpoint keeps at most ", kMaxCheckpointPartBytes,
      ": lower window_max_labels or the labels of windows, at 40 bytes a label"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<WindowFold>> NewWindowFold(const MonitoringOptions& options,
                                                          AlarmOptionsLookup alarm_options,
                                                          SliceKeysLookup slice_keys) {
  if (options.windows.empty()) return absl::InvalidArgumentError("windows must name at least one window");
  const std::set<std::string> names(options.windows.begin(), options.windows.end());
  if (names.size() != options.windows.size())
    return absl::InvalidArgumentError("windows must differ in name");
  if (options.checkpoint_interval <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint_interval must be > 0; was ",
                                                   absl::FormatDuration(options.checkpoint_interval)));
  }
  if (options.read_batch < 1) {
    return absl::InvalidArgumentError(absl::StrCat("read_batch must be >= 1; was ", options.read_batch));
  }
  WindowFoldConfig config;
  for (const std::string& name : options.windows) {
    ASSIGN_OR_RETURN(WindowSpec window, WindowSpec::Parse(name));
    config.windows.push_back(std::move(window));
  }
  config.bins = options.bins;
  config.window_max_labels = options.window_max_labels;
  config.max_keys = options.max_keys;
  config.slice_max_labels = options.slice_max_labels;
  if (slice_keys != nullptr) config.slice_keys = std::move(slice_keys);
  if (alarm_options != nullptr) config.alarm_options = std::move(alarm_options);
  ASSIGN_OR_RETURN(std::unique_ptr<WindowFold> fold, WindowFold::Create(std::move(config)));
  RETURN_IF_ERROR(CheckKeyBytes(options, *fold));
  return fold;
}

absl::Status CheckMonitoringOptions(const MonitoringOptions& options) {
  return NewWindowFold(options, nullptr).status();
}

}  // namespace calserve
