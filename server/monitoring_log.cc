#include "server/monitoring_log.h"

#include "server/logging/log.h"

namespace calserve {
namespace {

// Where `works` is no longer what `status` says.
void TellChange(const absl::Status& status, absl::string_view what, bool& works) {
  if (status.ok() == works) return;
  works = status.ok();
  if (works) {
    LogInfo("monitoring works again", {{"what", what}});
  } else {
    LogError("monitoring fails; it is tried again", {{"what", what}, {"error", status.message()}});
  }
}

}  // namespace

void MonitoringLog::Tell(const MonitorState& state) {
  if (!told_restored_ && !state.restored.ok()) {
    LogWarning("the monitoring checkpoint is not used: the log is folded from its first label",
               {{"error", state.restored.message()}});
  }
  told_restored_ = true;
  TellChange(state.log, "folding labels into windows", folds_);
  TellChange(state.checkpoint, "saving the windows' checkpoint", checkpoints_);
  if (state.dropped_keys > dropped_keys_) {
    LogWarning("windows and alarms made room for others: too few monitoring.max_keys",
               {{"dropped", state.dropped_keys - dropped_keys_}, {"held", state.keys}});
  }
  if (state.skipped > skipped_) {
    LogWarning("labels are in no window: a value of theirs is out of range",
               {{"labels", state.skipped - skipped_}});
  }
  dropped_keys_ = state.dropped_keys;
  skipped_ = state.skipped;
}

}  // namespace calserve
