#include "server/monitoring/folded_log.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

MonitorKey KeyOf(const Acknowledgement& at) {
  return {at.model, at.model_version, at.calibrator_version, {at.slice_key, at.slice_value}};
}

// What the counts of a window's sets are of.
std::vector<WindowReport::SetCoverage> CoverageOf(absl::Span<const SetThreshold> thresholds,
                                                  const WindowMetrics& metrics) {
  std::vector<WindowReport::SetCoverage> coverage;
  for (size_t slot = 0; slot < std::min<size_t>(thresholds.size(), LabelExtras::kSets); ++slot) {
    if (metrics.sets[slot].n > 0) coverage.push_back({thresholds[slot], metrics.sets[slot]});
  }
  return coverage;
}

}  // namespace

FoldedLog::FoldedLog(std::unique_ptr<WindowFold> fold, int64_t position,
                     absl::Span<const Acknowledgement> acknowledgements, int max_keys,
                     absl::Time counted_since)
    : max_keys_(max_keys),
      counted_since_(counted_since),
      fold_(std::move(fold)),
      to_replay_(acknowledgements.begin(), acknowledgements.end()),
      position_(position) {
  ReplayAcknowledgements(position);
}

void FoldedLog::Fold(absl::Span<const ScoredRow> rows) {
  for (const ScoredRow& row : rows) {
    ReplayAcknowledgements(row.position - 1);
    const bool counted = fold_->Fold(row.key, row.position, row.label, *row.attributes).ok();
    if (counted) CountArrival(row);
    skipped_ += counted ? 0 : 1;
    for (const auto& [key, label] : row.shadows) {
      ShadowFold::Entry* const shadow = shadows_.Find(key);
      if (shadow != nullptr && shadow->windows->Push(label).ok()) shadow->label_position = row.position;
    }
  }
  if (!rows.empty()) AdvanceTo(rows.back().position);
}

void FoldedLog::AdvanceTo(int64_t position) {
  position_ = std::max(position_, position);
  ReplayAcknowledgements(position_);
}

void FoldedLog::ReplayAcknowledgements(int64_t position) {
  for (; !to_replay_.empty() && to_replay_.front().position <= position; to_replay_.pop_front()) {
    Acknowledge(to_replay_.front());
  }
}

void FoldedLog::CountArrival(const ScoredRow& row) {
  const absl::Duration delay = absl::FromUnixMicros(row.label.time_micros) - row.issued_at;
  arrivals_[row.key].Add(row.label.served.confidence, delay, row.issued_at >= counted_since_);
  if (static_cast<int>(arrivals_.size()) <= max_keys_) return;
  std::erase_if(arrivals_, [this](const auto& key) {
    return fold_->LabelPosition(key.first) == 0;  // It made room.
  });
}

WindowReport FoldedLog::Report(const MonitorKey& key, int index, const std::string& name,
                               int64_t now_micros) {
  now_micros = std::max(now_micros, fold_->last_time_micros());
  ShadowFold::Entry* const shadow = shadows_.Find(key);
  WindowMetrics metrics =
      shadow != nullptr ? shadow->windows->Report(index, now_micros) : fold_->Report(key, index, now_micros);
  WindowReport report;
  report.key = key;
  report.window = name;
  report.position = position_;
  report.label_position = shadow != nullptr ? shadow->label_position : fold_->LabelPosition(key);
  if (shadow != nullptr) report.shadow_after = shadow->shadow.after_position;
  report.alarm = fold_->Alarm(key);
  report.counted_since = counted_since_;
  report.arrivals = Arrivals(key);
  report.time = absl::FromUnixMicros(now_micros);
  report.set_coverage = CoverageOf(ThresholdsOf(key), metrics);
  report.weighted = metrics.weighted;
  report.served = std::move(metrics.served);
  report.uncalibrated = std::move(metrics.uncalibrated);
  report.truncated = metrics.truncated || (shadow != nullptr && shadow->truncated);
  return report;
}

KeyRevision FoldedLog::Revision(const MonitorKey& key) const {
  const ShadowFold::Entry* const shadow = shadows_.Find(key);
  if (shadow != nullptr) return {shadow->label_position, 0};
  return {fold_->LabelPosition(key), fold_->Alarm(key).acknowledgements};
}

LabelArrivals::Summary FoldedLog::Arrivals(const MonitorKey& key) const {
  const auto arrivals = arrivals_.find(key);
  return arrivals == arrivals_.end() ? LabelArrivals::Summary() : arrivals->second.summary();
}

absl::Status FoldedLog::CheckAcknowledgeable(const MonitorKey& key) const {
  if (fold_->Alarm(key).raised.has_value()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("model '", key.model, "' version ", key.model_version, " calibrator ",
                   key.calibrator_version, key.slice.whole() ? "" : " slice ", key.slice.key,
                   key.slice.whole() ? "" : "=", key.slice.value, " has no alarm to acknowledge"));
}

void FoldedLog::Acknowledge(const Acknowledgement& acknowledgement) {
  fold_->Acknowledge(KeyOf(acknowledgement),
                     {acknowledgement.position, absl::ToUnixMicros(acknowledgement.time)});
}

void FoldedLog::SetThresholds(const MonitorKey& key, absl::Span<const SetThreshold> thresholds) {
  if (thresholds_.size() >= 2 * static_cast<size_t>(max_keys_)) {
    std::erase_if(thresholds_, [this](const auto& known) {
      return fold_->LabelPosition(known.first) == 0;  // It made room.
    });
  }
  const absl::Span<const SetThreshold> counted = thresholds.subspan(0, LabelExtras::kSets);
  thresholds_.insert_or_assign(key, std::vector<SetThreshold>(counted.begin(), counted.end()));
}

absl::Span<const SetThreshold> FoldedLog::ThresholdsOf(const MonitorKey& key) const {
  const ShadowFold::Entry* const shadow = shadows_.Find(key);
  if (shadow != nullptr) return shadow->shadow.calibrator->spec().set_thresholds;
  const auto known = thresholds_.find({key.model, key.model_version, key.calibrator_version});
  return known == thresholds_.end() ? absl::Span<const SetThreshold>() : known->second;
}

}  // namespace calserve
