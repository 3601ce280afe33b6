#ifndef CALSERVE_SERVER_MONITORING_FOLD_CHECKPOINT_H_
#define CALSERVE_SERVER_MONITORING_FOLD_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/feedback/store.h"
#include "server/monitoring/monitor_key.h"
#include "server/monitoring/window_fold.h"

namespace calserve {

// A WindowFold's state in the store: a small head, and a part for the windows of each key. So one key at a
// time is serialised and read, and keys without new labels are not written again. Not thread-safe.
class FoldCheckpoint final {
 public:
  explicit FoldCheckpoint(Store& store) : store_(store) {}

  // Brings the last one into `fold`, which was just created, and returns its position, at most `log_end`; 0
  // where there is none. Else UNAVAILABLE where the store cannot be read now, or why it cannot be gone on
  // from; the fold is empty then.
  absl::StatusOr<int64_t> Restore(int64_t log_end, WindowFold& fold);

  // Where that could not be: the numbers of slices alone, which are the same whatever windows are configured,
  // so that what was given a slice keeps it when the log is folded again. OK where there are none.
  absl::Status RestoreSlices(int64_t log_end, WindowFold& fold);

  // The fold at one position, but for the windows.
  struct Head {
    int64_t position = 0;
    std::string state;   // WindowFold::SerializeHead
    std::string slices;  // WindowFold::SerializeSlices
    std::vector<WindowFold::HeldKey> held;
  };
  // Replaces the last one. `state_of` gives the windows of a key as they are at the head's position: nothing
  // may be folded before this returns.
  absl::Status Save(const Head& head, absl::FunctionRef<WindowsState(const MonitorKey&)> state_of);

 private:
  Store& store_;
  std::string stored_slices_;             // as far as is known; empty: not
  std::map<MonitorKey, int64_t> stored_;  // label positions of the parts in the store, as far as is known
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_FOLD_CHECKPOINT_H_
