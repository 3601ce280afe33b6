#ifndef CALSERVE_SERVER_LIVE_VIEW_H_
#define CALSERVE_SERVER_LIVE_VIEW_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"
#include "server/feedback/feedback_ingestor.h"
#include "server/http/server_view.h"
#include "server/model/model_repository.h"
#include "server/monitoring/report_hub.h"
#include "server/prediction/predictor.h"
#include "server/prediction/serving_table.h"
#include "server/recalibration/refit_controller.h"

namespace calserve {

// The running server as the admin port shows it. Only what is in the serving table has series of its own, so
// that there are never more than there are versions, whatever is asked for. Thread-safe.
class LiveView final : public ServerView {
 public:
  // What it looks at outlives it. `windows` are those of the monitor; of slices the first one is shown.
  // `slice_metrics`: all | alarm | none.
  LiveView(const ServingTable& table, const ModelRepository& repository, const Predictor& predictor,
           const FeedbackIngestor& ingestor, const CalibrationMonitor& monitor, ReportHub& hub,
           const RefitController& refits, std::vector<std::string> windows, std::string slice_metrics)
      : table_(table),
        repository_(repository),
        predictor_(predictor),
        ingestor_(ingestor),
        monitor_(monitor),
        hub_(hub),
        refits_(refits),
        windows_(std::move(windows)),
        slice_metrics_(std::move(slice_metrics)) {}

  // Not ready until SetReady.
  void SetReady();
  void SetNotReady(std::string reason);

  std::optional<std::string> NotReady() const override;
  ServerValues Values() const override;

 private:
  // Of the versions that are served.
  std::vector<CalibrationValues> Calibration(const std::vector<Snapshot>& served) const;
  std::vector<AlarmFigures> Alarms(const std::vector<Snapshot>& served) const;
  std::vector<SliceValues> Slices(const std::vector<Snapshot>& served) const;
  std::vector<RefitValues> Refits(const std::vector<Snapshot>& served) const;
  std::vector<VersionStateValues> Versions() const;
  static std::vector<DeviceValues> Devices(const std::vector<Snapshot>& served);

  const ServingTable& table_;
  const ModelRepository& repository_;
  const Predictor& predictor_;
  const FeedbackIngestor& ingestor_;
  const CalibrationMonitor& monitor_;
  ReportHub& hub_;
  const RefitController& refits_;
  const std::vector<std::string> windows_;
  const std::string slice_metrics_;

  mutable Mutex ready_mu_;
  std::optional<std::string> not_ready_ ABSL_GUARDED_BY(ready_mu_) = "starting";
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_LIVE_VIEW_H_
