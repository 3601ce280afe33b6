#ifndef CALSERVE_SERVER_DASHBOARD_H_
#define CALSERVE_SERVER_DASHBOARD_H_

#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "server/base/clock.h"
#include "server/base/periodic.h"
#include "server/dashboard_history.h"
#include "server/http/dashboard_view.h"
#include "server/http/server_view.h"
#include "server/model/model_repository.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/monitoring/report_hub.h"
#include "server/prediction/serving_table.h"
#include "server/recalibration/calibrator_registry.h"

namespace calserve {

// The running server as the page shows it, and the last day of it: a thread of low priority looks once a
// second. Thread-safe.
class Dashboard final : public DashboardView {
 public:
  // All of it outlives the dashboard. `windows` are those of the monitor.
  struct Sources {
    const ServerView& server;
    const ServingTable& table;
    const ModelRepository& repository;
    CalibrationMonitor& monitor;
    ReportHub& hub;
    CalibratorRegistry& registry;
    const Clock& clock;
    std::vector<std::string> windows;
  };
  explicit Dashboard(Sources sources);

  absl::Status Check(const Watch& watch) const override;
  DashboardValues Values(const Watch& watch) const override;
  HistoryValues History(const Watch& watch, absl::Time since) const override;
  absl::StatusOr<std::vector<CalibratorValues>> Calibrators(const std::string& model,
                                                            int64_t version) override;
  absl::Status Activate(const std::string& model, int64_t version, int64_t calibrator,
                        int64_t expected_active) override;
  absl::Status Rollback(const std::string& model, int64_t version, int64_t expected_active) override;

 private:
  void Look();
  std::vector<ModelRow> Models() const;
  VersionValues Serving(const Snapshot& snapshot) const;
  // Of the active calibrator. The window is one of windows.
  absl::StatusOr<WindowReport> Report(const Snapshot& snapshot, const std::string& window) const;
  // The window of that name, the first for none; NOT_FOUND.
  absl::StatusOr<std::string> FindWindow(const std::string& name) const;
  // What is meant by a watch that names less; NOT_FOUND where it does not serve or there is no such window.
  absl::StatusOr<std::pair<Snapshot, std::string>> Find(const Watch& watch) const;
  absl::StatusOr<WatchedValues> Watched(const Watch& watch) const;

  const Sources sources_;
  DashboardHistory history_;
  Periodic looking_;  // Last: stopped before what it writes to is destroyed.
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_DASHBOARD_H_
