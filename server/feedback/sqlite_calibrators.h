#ifndef CALSERVE_SERVER_FEEDBACK_SQLITE_CALIBRATORS_H_
#define CALSERVE_SERVER_FEEDBACK_SQLITE_CALIBRATORS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/feedback/sqlite.h"
#include "server/feedback/store.h"

namespace calserve {

// Calibrator versions and their activations in SQLite: tables calibrators and activations. The contracts are
// Store's; those that write are called within a write transaction.

absl::StatusOr<StoredCalibrator> InsertCalibrator(sqlite::Connection& db, StoredCalibrator calibrator);
absl::StatusOr<std::vector<StoredCalibrator>> SelectCalibrators(sqlite::Connection& db,
                                                                const std::string& model);
absl::Status SetActiveCalibrator(sqlite::Connection& db, const std::string& model, int64_t model_version,
                                 int64_t version, int64_t expected_active, absl::Time now);
absl::StatusOr<std::optional<CalibratorActivation>> SelectLastActivation(sqlite::Connection& db,
                                                                         const std::string& model,
                                                                         int64_t model_version);
absl::StatusOr<int64_t> SelectPreviousActive(sqlite::Connection& db, const std::string& model,
                                             int64_t model_version);

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_SQLITE_CALIBRATORS_H_
