#include "calibration/conformal.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "calibration/class_order.h"
#include "calibration/labelled_rows.h"
#include "calibration/metrics.h"

namespace calserve {
namespace {

std::vector<int> MostProbableFirst(absl::Span<const float> probabilities, absl::Span<const double> logits) {
  std::vector<int> order(probabilities.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), MoreProbable<double>(probabilities, logits));
  return order;
}

// (n + 1) (1 - alpha), rounded up; what a decimal alpha leaves of rounding is no row.
int64_t RankOfThreshold(int64_t n, double alpha) {
  const double beyond = static_cast<double>(n + 1) * alpha;
  return n + 1 - static_cast<int64_t>(std::floor(beyond * (1 + 1e-12)));
}

}  // namespace

std::vector<double> ConformalScores(ConformalScore score, absl::Span<const float> probabilities,
                                    absl::Span<const double> logits) {
  std::vector<double> scores(probabilities.size());
  if (score == ConformalScore::kThr) {
    for (size_t k = 0; k < scores.size(); ++k) scores[k] = 1 - static_cast<double>(probabilities[k]);
    return scores;
  }
  double sum = 0;
  for (const int k : MostProbableFirst(probabilities, logits)) scores[k] = sum += probabilities[k];
  return scores;
}

absl::StatusOr<double> ConformalThreshold(std::vector<double> true_class_scores, double alpha) {
  if (!(alpha > 0 && alpha < 1)) {
    return absl::InvalidArgumentError(absl::StrCat("alpha must be in (0, 1); was ", alpha));
  }
  const auto nan = std::find_if(true_class_scores.begin(), true_class_scores.end(),
                                [](double score) { return std::isnan(score); });
  if (nan != true_class_scores.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("score of row ", nan - true_class_scores.begin(), " must be a number; was nan"));
  }
  const auto n = static_cast<int64_t>(true_class_scores.size());
  const int64_t rank = std::max<int64_t>(RankOfThreshold(n, alpha), 1);
  if (rank > n) return std::numeric_limits<double>::infinity();
  const auto threshold = true_class_scores.begin() + (rank - 1);
  std::nth_element(true_class_scores.begin(), threshold, true_class_scores.end());
  return *threshold;
}

absl::StatusOr<double> FitConformalThreshold(ConformalScore score, const Calibrator& calibrator,
                                             LogitsView logits, absl::Span<const int32_t> labels,
                                             double alpha) {
  if (absl::Status status = CheckEvaluation(calibrator, logits, labels, kDefaultBins); !status.ok()) {
    return status;
  }
  std::vector<double> scores;
  ForEachRow(calibrator, AllRows(logits, labels), [&](const AppliedRow& row) {
    scores.push_back(ConformalScores(score, row.probabilities, row.logits)[row.label]);
  });
  return ConformalThreshold(std::move(scores), alpha);
}

void TrueClassScores::Add(const Calibrator& calibrator, const LabelledRows& rows) {
  ForEachRow(calibrator, rows, [&](const AppliedRow& row) {
    for (auto [score, scores] : {std::pair(ConformalScore::kThr, &thr_), {ConformalScore::kAps, &aps_}}) {
      scores->push_back(ConformalScores(score, row.probabilities, row.logits)[row.label]);
    }
  });
}

std::vector<SetThreshold> TrueClassScores::Thresholds(absl::Span<const double> alphas) const {
  std::vector<SetThreshold> thresholds;
  for (const double alpha : alphas) {
    for (const auto& [score, scores] :
         {std::pair(ConformalScore::kThr, &thr_), {ConformalScore::kAps, &aps_}}) {
      const absl::StatusOr<double> threshold = ConformalThreshold(*scores, alpha);
      if (threshold.ok() && std::isfinite(*threshold)) thresholds.push_back({score, alpha, *threshold, n()});
    }
  }
  return thresholds;
}

std::vector<int> PredictionSet(ConformalScore score, double threshold, absl::Span<const float> probabilities,
                               absl::Span<const double> logits) {
  const std::vector<double> scores = ConformalScores(score, probabilities, logits);
  std::vector<int> set = MostProbableFirst(probabilities, logits);
  // Scores do not fall along that order.
  auto end = std::find_if(set.begin(), set.end(), [&](int k) { return scores[k] > threshold; });
  if (score == ConformalScore::kAps && end == set.begin()) ++end;
  set.erase(end, set.end());
  return set;
}

}  // namespace calserve
