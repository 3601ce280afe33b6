#ifndef CALSERVE_SERVER_DASHBOARD_HISTORY_H_
#define CALSERVE_SERVER_DASHBOARD_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"
#include "server/http/dashboard_view.h"
#include "server/telemetry/histogram.h"

namespace calserve {

// The value below which the share `q` of what a histogram counted lies, linear within a bucket as
// Prometheus's histogram_quantile takes it; beyond the last bound it is that bound. nullopt where nothing was
// counted.
std::optional<double> Quantile(const HistogramValues& values, double q);

// Requests of one version, counted since it serves.
struct RequestTotals {
  int64_t answered = 0, failed = 0;
  HistogramValues seconds;  // of the answered ones
  int64_t batches = 0, batch_rows = 0;
};

// What `after` counted beyond `before`, by the second. nullopt figures where nothing was answered or no batch
// was run, or a counter ran backwards, as it does where the version was loaded anew.
TrafficValues RateBetween(const RequestTotals& before, const RequestTotals& after, absl::Duration took);

// Points of one kind, one every kFine; those older than kFineFor are thinned to one every kCoarse, and go
// after kCoarseFor. 1,080 points at most.
template <typename Point>
class PointSeries {
 public:
  static constexpr absl::Duration kFine = absl::Seconds(10);
  static constexpr size_t kFinePoints = 360, kCoarsePoints = 720;
  static constexpr int kThinning = 12;  // kCoarse / kFine

  void Add(Point point) {
    if (added_++ % kThinning == 0) Push(coarse_, kCoarsePoints, point);
    Push(fine_, kFinePoints, std::move(point));
  }
  // Those after `since`, oldest first.
  std::vector<Point> After(absl::Time since) const {
    std::vector<Point> points;
    const absl::Time fine_from = fine_.empty() ? absl::InfiniteFuture() : fine_.front().time;
    for (const Point& point : coarse_) {
      if (point.time > since && point.time < fine_from) points.push_back(point);
    }
    for (const Point& point : fine_) {
      if (point.time > since) points.push_back(point);
    }
    return points;
  }

 private:
  static void Push(std::deque<Point>& points, size_t most, Point point) {
    points.push_back(std::move(point));
    if (points.size() > most) points.pop_front();
  }

  std::deque<Point> fine_, coarse_;
  int64_t added_ = 0;
};

// The last day of every version that serves, in memory: 100 KB of traffic and 100 KB a window. What serves no
// more is forgotten, and of more than kMaxVersions the last are left out. Thread-safe.
class DashboardHistory final {
 public:
  static constexpr int kMaxVersions = 64;
  static constexpr int kRateSeconds = 10;

  struct Version {
    std::string model;
    int64_t version = 0;
    RequestTotals totals;
  };
  // Once a second: the totals of all versions that serve. Times never decrease.
  void AddTotals(absl::Time now, const std::vector<Version>& versions);
  // Whether it is time for AddPoints.
  bool PointsAreDue(absl::Time now) const;
  // A point for each window of each version, with the traffic as of the last AddTotals. `window` of the watch
  // is set, as are model and version.
  void AddPoints(absl::Time now, const std::vector<std::pair<Watch, CalibrationPoint>>& calibration);

  // Of the last ten seconds, or since it serves where that is less; all 0 where it is not known.
  TrafficValues Traffic(const std::string& model, int64_t version) const;
  HistoryValues After(const Watch& watch, absl::Time since) const;

 private:
  using Key = std::pair<std::string, int64_t>;
  struct Entry {
    std::deque<std::pair<absl::Time, RequestTotals>> totals;  // of the last seconds
    PointSeries<TrafficPoint> traffic;
    std::map<std::string, PointSeries<CalibrationPoint>> windows;
  };

  static TrafficValues TrafficOf(const Entry& entry);

  mutable Mutex mu_;
  std::map<Key, Entry> versions_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Time> last_points_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_DASHBOARD_HISTORY_H_
