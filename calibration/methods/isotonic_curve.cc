#include "calibration/methods/isotonic_curve.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

// Neighbouring points that share one level.
struct Block {
  double first = 0, last = 0;  // scores
  double rows = 0;
  double positives = 0;

  double level() const { return positives / rows; }
};

std::vector<Block> PointsByScore(absl::Span<const double> scores, absl::Span<const uint8_t> positive) {
  std::vector<std::pair<double, double>> sorted;
  sorted.reserve(scores.size());
  for (size_t i = 0; i < scores.size(); ++i) sorted.emplace_back(scores[i], positive[i] != 0 ? 1 : 0);
  std::sort(sorted.begin(), sorted.end());
  std::vector<Block> points;
  for (const auto& [score, target] : sorted) {
    if (points.empty() || points.back().last != score) points.push_back({score, score, 0, 0});
    points.back().rows += 1;
    points.back().positives += target;
  }
  return points;
}

// Counts are whole numbers, so that comparing products is exact.
bool Falls(const Block& before, const Block& after) {
  return before.positives * after.rows >= after.positives * before.rows;
}

std::vector<Block> PoolAdjacentViolators(std::vector<Block> points) {
  std::vector<Block> blocks;
  for (const Block& point : points) {
    blocks.push_back(point);
    while (blocks.size() > 1 && Falls(blocks[blocks.size() - 2], blocks.back())) {
      const Block last = blocks.back();
      blocks.pop_back();
      blocks.back().last = last.last;
      blocks.back().rows += last.rows;
      blocks.back().positives += last.positives;
    }
  }
  return blocks;
}

bool IsWhole(double value) { return value == std::floor(value); }

void CheckCurve(const IsotonicCurve& curve, ParameterReader* reader) {
  for (size_t i = 0; i < curve.values.size(); ++i) {
    if (curve.values[i] < 0 || curve.values[i] > 1) {
      reader->Fail(absl::StrCat("parameter value must be in [0, 1]; was ", curve.values[i]));
    }
    if (i == 0) continue;
    if (!(curve.thresholds[i] > curve.thresholds[i - 1])) {
      reader->Fail(absl::StrCat("parameter threshold must rise; was ", curve.thresholds[i - 1], " and then ",
                                curve.thresholds[i]));
    }
    if (curve.values[i] < curve.values[i - 1]) {
      reader->Fail(absl::StrCat("parameter value must not fall; was ", curve.values[i - 1], " and then ",
                                curve.values[i]));
    }
  }
}

}  // namespace

double IsotonicCurve::At(double score) const {
  const size_t above =
      static_cast<size_t>(std::upper_bound(thresholds.begin(), thresholds.end(), score) - thresholds.begin());
  if (above == 0) return values.front();
  if (above == thresholds.size()) return values.back();
  const double share = (score - thresholds[above - 1]) / (thresholds[above] - thresholds[above - 1]);
  return values[above - 1] + share * (values[above] - values[above - 1]);
}

IsotonicCurve FitIsotonic(absl::Span<const double> scores, absl::Span<const uint8_t> positive) {
  const double rows = static_cast<double>(scores.size());
  IsotonicCurve curve;
  for (const Block& block : PoolAdjacentViolators(PointsByScore(scores, positive))) {
    const double value = std::clamp(block.level(), 1 / (rows + 2), (rows + 1) / (rows + 2));
    curve.thresholds.push_back(block.first);
    curve.values.push_back(value);
    if (block.last == block.first) continue;
    curve.thresholds.push_back(block.last);
    curve.values.push_back(value);
  }
  return curve;
}

std::vector<IsotonicCurve> ReadIsotonic(int count, ParameterReader* reader) {
  const std::vector<double> thresholds = reader->Values("threshold");
  const std::vector<double> values = reader->Values("value", thresholds.size());
  std::vector<double> knots = {static_cast<double>(thresholds.size())};
  if (count > 1) knots = reader->Values("knots", static_cast<size_t>(count));
  std::vector<IsotonicCurve> curves;
  size_t at = 0;
  for (const double wanted : knots) {
    if (!IsWhole(wanted) || wanted < 1 || wanted > static_cast<double>(thresholds.size() - at)) {
      reader->Fail(absl::StrCat("each curve must have at least 1 of the ", thresholds.size(),
                                " knots, and together all; one has ", wanted));
      return {};
    }
    const auto from = static_cast<std::ptrdiff_t>(at), to = from + static_cast<std::ptrdiff_t>(wanted);
    curves.push_back(
        {{thresholds.begin() + from, thresholds.begin() + to}, {values.begin() + from, values.begin() + to}});
    CheckCurve(curves.back(), reader);
    at = static_cast<size_t>(to);
  }
  if (at != thresholds.size()) {
    reader->Fail(absl::StrCat("parameter threshold must have ", at, " values, as knots says; has ",
                              thresholds.size()));
  }
  return curves;
}

void WriteIsotonic(const std::vector<IsotonicCurve>& curves,
                   std::vector<CalibratorSpec::Parameter>* parameters) {
  CalibratorSpec::Parameter knots{"knots", {}}, thresholds{"threshold", {}}, values{"value", {}};
  for (const IsotonicCurve& curve : curves) {
    knots.values.push_back(static_cast<double>(curve.thresholds.size()));
    thresholds.values.insert(thresholds.values.end(), curve.thresholds.begin(), curve.thresholds.end());
    values.values.insert(values.values.end(), curve.values.begin(), curve.values.end());
  }
  if (curves.size() > 1) parameters->push_back(std::move(knots));
  parameters->push_back(std::move(thresholds));
  parameters->push_back(std::move(values));
}

}  // namespace calserve
