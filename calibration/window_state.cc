#include "calibration/window_state.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

constexpr double kConfidenceUnit = 0x1p-30;
constexpr double kScoreUnit = 0x1p-24;  // of NLL and Brier
constexpr double kMaxHalfLives = 32;    // between the reference of a decaying window and its newest label

void AddWeighted(const ScoreUnits& score, double weight, MetricsSums* sums) {
  MetricsSums::Bin& bin = sums->bins[score.bin];
  bin.weight += weight;
  bin.confidence += weight * (static_cast<double>(score.confidence) * kConfidenceUnit);
  bin.correct += score.correct ? weight : 0;
  sums->squared_weights += weight * weight;
  if (!score.with_logits) return;
  sums->weight_with_logits += weight;
  sums->nll += weight * (static_cast<double>(score.nll) * kScoreUnit);
  sums->brier += weight * (static_cast<double>(score.brier) * kScoreUnit);
}

void Scale(double factor, MetricsSums* sums) {
  for (MetricsSums::Bin& bin : sums->bins) {
    bin.weight *= factor;
    bin.confidence *= factor;
    bin.correct *= factor;
  }
  sums->squared_weights *= factor * factor;
  sums->weight_with_logits *= factor;
  sums->nll *= factor;
  sums->brier *= factor;
}

}  // namespace

ScoreUnits::ScoreUnits(const PackedScore& score, const BinEdges& edges) {
  const double value = std::abs(score.signed_confidence);
  bin = edges.IndexOf(value);
  correct = std::signbit(score.signed_confidence);
  with_logits = score.nll != PackedScore::kNone;
  confidence = static_cast<int64_t>(value / kConfidenceUnit + 0.5);
  nll = with_logits ? score.nll : 0;
  brier = with_logits ? score.brier : 0;
}

void IntegerSums::Apply(const ScoreUnits& score, int64_t sign) {
  Bin& bin = bins_[score.bin];
  bin.count += sign;
  bin.confidence += sign * score.confidence;
  bin.correct += score.correct ? sign : 0;
  with_logits_ += score.with_logits ? sign : 0;
  nll_ += sign * score.nll;
  brier_ += sign * score.brier;
}

absl::Status IntegerSums::Merge(const IntegerSums& other) {
  if (other.bins_.size() != bins_.size()) {
    return absl::InvalidArgumentError(absl::StrCat("sums over bins of the same edges can be merged; have ",
                                                   bins_.size(), " and ", other.bins_.size(), " bins"));
  }
  for (size_t b = 0; b < bins_.size(); ++b) {
    bins_[b].count += other.bins_[b].count;
    bins_[b].confidence += other.bins_[b].confidence;
    bins_[b].correct += other.bins_[b].correct;
  }
  with_logits_ += other.with_logits_;
  nll_ += other.nll_;
  brier_ += other.brier_;
  return absl::OkStatus();
}

MetricsSums IntegerSums::ToMetricsSums() const {
  MetricsSums sums;
  for (const Bin& bin : bins_) {
    const double count = static_cast<double>(bin.count);
    sums.bins.push_back(
        {count, static_cast<double>(bin.confidence) * kConfidenceUnit, static_cast<double>(bin.correct)});
    sums.squared_weights += count;
  }
  sums.weight_with_logits = static_cast<double>(with_logits_);
  sums.nll = static_cast<double>(nll_) * kScoreUnit;
  sums.brier = static_cast<double>(brier_) * kScoreUnit;
  return sums;
}

RingWindow::RingWindow(const WindowSpec& spec, int bins, int64_t max_labels)
    : max_count_(spec.kind == WindowSpec::Kind::kLastCount ? spec.count : max_labels),
      max_age_(spec.kind == WindowSpec::Kind::kLastDuration ? spec.micros : 0),
      served_(bins),
      uncalibrated_(bins),
      extras_(bins) {}

void RingWindow::Age(int64_t now_micros, const LabelRing& ring, const BinEdges& edges) {
  if (max_age_ == 0) return;
  while (start_ < ring.end() && ring.At(start_).time_micros <= now_micros - max_age_)
    EvictOldest(ring, edges);
}

void RingWindow::MakeRoom(int64_t now_micros, const LabelRing& ring, const BinEdges& edges) {
  Age(now_micros, ring, edges);
  if (ring.end() - start_ < max_count_) return;
  if (max_age_ > 0) truncated_micros_ = ring.At(start_).time_micros;
  EvictOldest(ring, edges);
}

void RingWindow::Add(const LabelUnits& label) {
  served_.Add(label.served);
  uncalibrated_.Add(label.uncalibrated);
  extras_.Add(label.extras, label.served.bin, label.served.confidence, label.served.correct);
}

void RingWindow::EvictOldest(const LabelRing& ring, const BinEdges& edges) {
  const LabelUnits oldest(ring.At(start_), ring.ExtrasAt(start_), edges);
  served_.Remove(oldest.served);
  uncalibrated_.Remove(oldest.uncalibrated);
  extras_.Remove(oldest.extras, oldest.served.bin, oldest.served.confidence, oldest.served.correct);
  ++start_;
}

WindowMetrics RingWindow::Report(int64_t now_micros) const {
  WindowMetrics report;
  report.served = MetricsFromSums(served_.ToMetricsSums());
  report.uncalibrated = MetricsFromSums(uncalibrated_.ToMetricsSums());
  report.sets = extras_.sets();
  report.weighted = extras_.Weighted();
  report.truncated = truncated_micros_ > now_micros - max_age_ && max_age_ > 0;
  return report;
}

void RingWindow::Restore(int64_t start, int64_t truncated_micros, const LabelRing& ring,
                         const BinEdges& edges) {
  start_ = start;
  truncated_micros_ = truncated_micros;
  for (int64_t position = start; position < ring.end(); ++position) {
    Add(LabelUnits(ring.At(position), ring.ExtrasAt(position), edges));
  }
}

DecayWindow::DecayWindow(int64_t half_life_micros, int bins)
    : half_life_(static_cast<double>(half_life_micros)) {
  sums_.served.bins.resize(bins);
  sums_.uncalibrated.bins.resize(bins);
}

void DecayWindow::Add(int64_t time_micros, const LabelUnits& label) {
  if (sums_.reference_micros < 0) sums_.reference_micros = time_micros;
  double age = HalfLives(time_micros - sums_.reference_micros);
  if (age > kMaxHalfLives) {
    Scale(std::exp2(-age), &sums_.served);
    Scale(std::exp2(-age), &sums_.uncalibrated);
    sums_.reference_micros = time_micros;
    age = 0;
  }
  const double weight = std::exp2(age);
  AddWeighted(label.served, weight, &sums_.served);
  AddWeighted(label.uncalibrated, weight, &sums_.uncalibrated);
}

WindowMetrics DecayWindow::Report(int64_t now_micros) const {
  MetricsSums served = sums_.served, uncalibrated = sums_.uncalibrated;
  const double factor =
      sums_.reference_micros < 0 ? 1 : std::exp2(-HalfLives(now_micros - sums_.reference_micros));
  Scale(factor, &served);
  Scale(factor, &uncalibrated);
  return {MetricsFromSums(served), MetricsFromSums(uncalibrated)};
}

}  // namespace calserve
