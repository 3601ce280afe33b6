#include "calibration/label_extras.h"

#include <algorithm>
#include <cmath>

#include "calibration/metrics_accumulator.h"

namespace calserve {
namespace {

constexpr int kSetBits = 12;
constexpr int kWeightShift = kSetBits * LabelExtras::kSets;
constexpr int64_t kOne = 4096;                   // a weight of 1, in kWeightUnit
constexpr int64_t kLargestCode = 1 + 10 * kOne;  // of a weight of 1,024
constexpr double kSquareUnit = 0x1p-10;
constexpr double kConfidenceUnit = 0x1p-20;

// The linearised interval of a weighted mean; `spread` is sum w^2 (x - mean)^2.
Estimate HajekEstimate(double mean, double spread, double population) {
  if (!(spread > 0)) return {mean};
  return NormalEstimate(mean, std::sqrt(spread) / population);
}

}  // namespace

LabelExtras LabelExtras::FromBits(uint64_t bits) {
  LabelExtras extras;
  extras.bits_ = bits;
  return extras;
}

void LabelExtras::SetInclusionProbability(double probability) {
  const double weight = std::min(1 / probability, kMaxWeight);
  int exponent = std::ilogb(weight);
  auto mantissa = static_cast<int64_t>(std::llround(std::ldexp(weight, 12 - exponent)));  // [4096, 8192]
  if (mantissa == 2 * kOne) {
    ++exponent;
    mantissa = kOne;
  }
  const uint64_t code = static_cast<uint64_t>(1 + kOne * exponent + mantissa - kOne);
  bits_ = (bits_ & ((uint64_t{1} << kWeightShift) - 1)) | code << kWeightShift;
}

void LabelExtras::SetSet(int slot, Set set) {
  const uint64_t code = 2 * (static_cast<uint64_t>(set.size) + 1) + (set.covered ? 1 : 0);
  const uint64_t mask = (uint64_t{1} << kSetBits) - 1;
  bits_ = (bits_ & ~(mask << (kSetBits * slot))) | code << (kSetBits * slot);
}

std::optional<int64_t> LabelExtras::weight() const {
  const auto code = std::min(static_cast<int64_t>(bits_ >> kWeightShift), kLargestCode);
  if (code == 0) return std::nullopt;
  return (kOne + (code - 1) % kOne) << ((code - 1) / kOne);
}

std::optional<LabelExtras::Set> LabelExtras::set(int slot) const {
  const uint64_t code = bits_ >> (kSetBits * slot) & ((uint64_t{1} << kSetBits) - 1);
  if (code == 0) return std::nullopt;
  return Set{(code & 1) != 0, static_cast<int>(code >> 1) - 1};
}

void ExtraSums::Apply(const LabelExtras& extras, int bin, int64_t confidence, bool correct, int64_t sign) {
  for (int slot = 0; slot < LabelExtras::kSets; ++slot) {
    const std::optional<LabelExtras::Set> set = extras.set(slot);
    if (!set.has_value()) continue;
    sets_[slot].n += sign;
    sets_[slot].covered += set->covered ? sign : 0;
    sets_[slot].size += sign * set->size;
  }
  const std::optional<int64_t> weight = extras.weight();
  if (!weight.has_value()) return;
  if (bins_.empty()) bins_.resize(static_cast<size_t>(bin_count_));
  ApplyWeight(*weight, bins_[static_cast<size_t>(bin)], confidence, correct, sign);
}

// Each product is rounded to its unit before it is added: so it is a function of the label alone, and
// removing it undoes adding it. None exceeds 2^30, and no product 2^60 before it is rounded.
void ExtraSums::ApplyWeight(int64_t weight, Bin& bin, int64_t confidence, bool correct, int64_t sign) {
  n_ += sign;
  bin.weight += sign * weight;
  bin.confidence += sign * (weight * confidence >> 22);
  bin.correct += correct ? sign * weight : 0;
  const int64_t square = weight * weight >> 14;
  const int64_t gap = confidence - (correct ? int64_t{1} << 30 : 0);
  const int64_t square_gap = square * gap >> 30;
  squares_ += sign * square;
  squares_correct_ += correct ? sign * square : 0;
  squares_gap_ += sign * square_gap;
  squares_gap2_ += sign * (square_gap * gap >> 30);
}

std::optional<WeightedEstimates> ExtraSums::Weighted() const {
  if (n_ == 0) return std::nullopt;
  MetricsSums sums;
  double population = 0;
  for (const Bin& bin : bins_) {
    const double weight = static_cast<double>(bin.weight) * LabelExtras::kWeightUnit;
    sums.bins.push_back({weight, static_cast<double>(bin.confidence) * kConfidenceUnit,
                         static_cast<double>(bin.correct) * LabelExtras::kWeightUnit});
    population += weight;
  }
  const double squares = static_cast<double>(squares_) * kSquareUnit;
  sums.squared_weights = squares;
  const CalibrationMetrics metrics = MetricsFromSums(sums);

  WeightedEstimates out;
  out.n = n_;
  out.population = population;
  out.n_effective = metrics.n_effective;
  const double a = metrics.accuracy, gap = metrics.mean_confidence - a;
  out.accuracy = HajekEstimate(
      a, static_cast<double>(squares_correct_) * kSquareUnit * (1 - 2 * a) + squares * a * a, population);
  if (out.accuracy.low.has_value()) {
    out.accuracy.low = std::max(0.0, *out.accuracy.low);
    out.accuracy.high = std::min(1.0, *out.accuracy.high);
  }
  out.confidence_gap = HajekEstimate(
      gap,
      (static_cast<double>(squares_gap2_) - 2 * gap * static_cast<double>(squares_gap_)) * kSquareUnit +
          squares * gap * gap,
      population);
  out.ece = metrics.ece;
  out.noise_floor = metrics.noise_floor;
  return out;
}

}  // namespace calserve
