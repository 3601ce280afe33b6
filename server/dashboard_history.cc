#include "server/dashboard_history.h"

#include <algorithm>
#include <set>

namespace calserve {

std::optional<double> Quantile(const HistogramValues& values, double q) {
  const double rank = q * static_cast<double>(values.count());
  if (rank <= 0) return std::nullopt;
  double below = 0;
  for (size_t i = 0; i < values.bounds.size(); ++i) {
    const auto here = static_cast<double>(values.counts[i]);
    if (here > 0 && below + here >= rank) {
      const double lower = i == 0 ? 0 : values.bounds[i - 1];
      return lower + (values.bounds[i] - lower) * (rank - below) / here;
    }
    below += here;
  }
  return values.bounds.empty() ? std::nullopt : std::optional(values.bounds.back());
}

TrafficValues RateBetween(const RequestTotals& before, const RequestTotals& after, absl::Duration took) {
  TrafficValues traffic;
  const double seconds = absl::ToDoubleSeconds(took);
  if (seconds <= 0 || after.answered < before.answered || after.failed < before.failed ||
      after.batches < before.batches || after.seconds.counts.size() != before.seconds.counts.size()) {
    return traffic;
  }
  traffic.requests =
      static_cast<double>(after.answered + after.failed - before.answered - before.failed) / seconds;
  traffic.failures = static_cast<double>(after.failed - before.failed) / seconds;
  HistogramValues between = after.seconds;
  for (size_t i = 0; i < between.counts.size(); ++i) {
    between.counts[i] = std::max<int64_t>(0, between.counts[i] - before.seconds.counts[i]);
  }
  traffic.p50 = Quantile(between, 0.5);
  traffic.p99 = Quantile(between, 0.99);
  if (after.batches > before.batches) {
    traffic.mean_batch = static_cast<double>(after.batch_rows - before.batch_rows) /
                         static_cast<double>(after.batches - before.batches);
  }
  return traffic;
}

void DashboardHistory::AddTotals(absl::Time now, const std::vector<Version>& versions) {
  MutexLock lock(&mu_);
  std::set<Key> serving;
  for (const Version& version : versions) {
    if (serving.size() >= kMaxVersions) break;
    const Key key{version.model, version.version};
    serving.insert(key);
    auto& totals = versions_[key].totals;
    totals.emplace_back(now, version.totals);
    while (totals.size() > 2 && now - totals[1].first >= absl::Seconds(kRateSeconds)) totals.pop_front();
  }
  std::erase_if(versions_, [&serving](const auto& entry) { return !serving.contains(entry.first); });
}

bool DashboardHistory::PointsAreDue(absl::Time now) const {
  MutexLock lock(&mu_);
  return !last_points_.has_value() || now - *last_points_ >= PointSeries<TrafficPoint>::kFine;
}

void DashboardHistory::AddPoints(absl::Time now,
                                 const std::vector<std::pair<Watch, CalibrationPoint>>& calibration) {
  MutexLock lock(&mu_);
  last_points_ = now;
  for (auto& [key, entry] : versions_) {
    const TrafficValues traffic = TrafficOf(entry);
    entry.traffic.Add({now, traffic.requests, traffic.failures, traffic.p50, traffic.p99});
  }
  for (const auto& [watch, point] : calibration) {
    const auto found = versions_.find({watch.model, watch.version});
    if (found != versions_.end()) found->second.windows[watch.window].Add(point);
  }
}

TrafficValues DashboardHistory::TrafficOf(const Entry& entry) {
  if (entry.totals.size() < 2) return {};
  const auto& [from, before] = entry.totals.front();
  const auto& [to, after] = entry.totals.back();
  return RateBetween(before, after, to - from);
}

TrafficValues DashboardHistory::Traffic(const std::string& model, int64_t version) const {
  MutexLock lock(&mu_);
  const auto found = versions_.find({model, version});
  return found == versions_.end() ? TrafficValues() : TrafficOf(found->second);
}

HistoryValues DashboardHistory::After(const Watch& watch, absl::Time since) const {
  MutexLock lock(&mu_);
  const auto found = versions_.find({watch.model, watch.version});
  if (found == versions_.end()) return {};
  HistoryValues values;
  values.traffic = found->second.traffic.After(since);
  const auto window = found->second.windows.find(watch.window);
  if (window != found->second.windows.end()) values.calibration = window->second.After(since);
  return values;
}

}  // namespace calserve
