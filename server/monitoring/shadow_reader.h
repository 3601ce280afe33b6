#ifndef CALSERVE_SERVER_MONITORING_SHADOW_READER_H_
#define CALSERVE_SERVER_MONITORING_SHADOW_READER_H_

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "calibration/rolling_windows.h"
#include "server/feedback/store.h"
#include "server/monitoring/label_scoring.h"
#include "server/monitoring/shadow_fold.h"

namespace calserve {

// Labels before its first one that a new shadow is scored on, the newest: some 50 ms.
inline constexpr int64_t kShadowRows = 10'000;

// What a new shadow has missed: its windows, `empty` at first, of the newest kShadowRows labels between its
// fit and `position`, as if it had served them. `go_on` is asked after every page of the log; false:
// CANCELLED. Else fails as the store does.
absl::StatusOr<ShadowFold::Entry> ReadShadow(Store& store, LabelScorer& scorer,
                                             const ShadowCalibrator& shadow,
                                             std::unique_ptr<RollingWindows> empty, int64_t position,
                                             absl::FunctionRef<bool()> go_on);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_SHADOW_READER_H_
