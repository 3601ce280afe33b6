#ifndef CALSERVE_SERVER_MONITORING_FOLDED_LOG_H_
#define CALSERVE_SERVER_MONITORING_FOLDED_LOG_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "calibration/rolling_windows.h"
#include "calibration/set_threshold.h"
#include "server/feedback/store.h"
#include "server/monitoring/label_arrivals.h"
#include "server/monitoring/monitor_key.h"
#include "server/monitoring/shadow_fold.h"
#include "server/monitoring/window_fold.h"
#include "server/monitoring/window_report.h"

namespace calserve {

// A row of the log as it is folded.
struct ScoredRow {
  MonitorKey key;
  int64_t position = 0;
  WindowLabel label;
  absl::Time issued_at;
  const Attributes* attributes = nullptr;                   // outlive the fold
  std::vector<std::pair<MonitorKey, WindowLabel>> shadows;  // what others would have said
};

// All that reports are made of, at one position of the log: windows and alarms (WindowFold), with every
// acknowledgement taken in where it was given; the windows of shadows; and of the keys that are held, counted
// in memory alone, the arrivals of labels. Not thread-safe.
class FoldedLog final {
 public:
  // What `fold` has is folded up to `position`. `acknowledgements`, in the order of position: those that are
  // not in the fold yet. Arrivals count from `counted_since` on.
  FoldedLog(std::unique_ptr<WindowFold> fold, int64_t position,
            absl::Span<const Acknowledgement> acknowledgements, int max_keys, absl::Time counted_since);

  // In the order of position, all after position().
  void Fold(absl::Span<const ScoredRow> rows);
  // There is no row up to that position which was not folded.
  void AdvanceTo(int64_t position);
  int64_t position() const { return position_; }
  int64_t skipped() const { return skipped_; }  // rows with a value out of range

  // See WindowFold.
  void Age(int64_t now_micros) { fold_->Age(now_micros); }

  // Of window `index`, named `name`; but for catching_up.
  WindowReport Report(const MonitorKey& key, int index, const std::string& name, int64_t now_micros);
  KeyRevision Revision(const MonitorKey& key) const;
  LabelArrivals::Summary Arrivals(const MonitorKey& key) const;

  // FAILED_PRECONDITION where no alarm of the key is raised.
  absl::Status CheckAcknowledgeable(const MonitorKey& key) const;
  void Acknowledge(const Acknowledgement& acknowledgement);

  // What the counts of a key's prediction sets are of; a calibrator version's never change.
  void SetThresholds(const MonitorKey& key, absl::Span<const SetThreshold> thresholds);

  const WindowFold& fold() const { return *fold_; }
  ShadowFold& shadows() { return shadows_; }

 private:
  void ReplayAcknowledgements(int64_t position);
  void CountArrival(const ScoredRow& row);
  // Empty where none are known.
  absl::Span<const SetThreshold> ThresholdsOf(const MonitorKey& key) const;

  const int max_keys_;
  const absl::Time counted_since_;
  const std::unique_ptr<WindowFold> fold_;
  std::deque<Acknowledgement> to_replay_;  // by position
  int64_t position_ = 0;
  int64_t skipped_ = 0;
  std::map<MonitorKey, LabelArrivals> arrivals_;                // of keys that are held
  std::map<MonitorKey, std::vector<SetThreshold>> thresholds_;  // of keys that are held
  ShadowFold shadows_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_FOLDED_LOG_H_
