#include "calibration/paired_comparison.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace calserve {
namespace {

constexpr int kBets = 10;
constexpr double kLargestShare = 0.95;  // of 1 / B: a factor is at least 0.05

// As RowNll caps it.
double Capped(float probability) {
  static const double least = std::exp(-kMaxNll);
  return std::max(static_cast<double>(probability), least);
}

}  // namespace

void PairedAccumulator::Add(const Side& incumbent, const Side& candidate, int label) {
  incumbent_.Add(incumbent.probabilities[incumbent.predicted], incumbent.predicted == label);
  candidate_.Add(candidate.probabilities[candidate.predicted], candidate.predicted == label);
  double largest_ratio = 1;
  for (size_t k = 0; k < incumbent.probabilities.size(); ++k) {
    const double ratio = Capped(incumbent.probabilities[k]) / Capped(candidate.probabilities[k]);
    largest_ratio = std::max(largest_ratio, ratio);
  }
  largest_loss_ = std::max(largest_loss_, std::log(largest_ratio));
  gains_.push_back(std::log(Capped(candidate.probabilities[label]) / Capped(incumbent.probabilities[label])));
}

PairedComparison PairedAccumulator::Get() const {
  PairedComparison out;
  out.n = static_cast<int64_t>(gains_.size());
  if (out.n == 0) return out;
  const double n = static_cast<double>(out.n);
  double sum = 0;
  for (const double gain : gains_) sum += gain;
  out.nll_difference = -sum / n;
  double squares = 0;
  for (const double gain : gains_) squares += (gain + out.nll_difference) * (gain + out.nll_difference);
  if (out.n > 1) out.standard_error = std::sqrt(squares / (n - 1) / n);
  const CalibrationMetrics incumbent = incumbent_.Metrics(), candidate = candidate_.Metrics();
  out.incumbent_ece = incumbent.ece;
  out.candidate_ece = candidate.ece;
  out.incumbent_accuracy = incumbent.accuracy;
  out.candidate_accuracy = candidate.accuracy;
  out.log_e_value = LogEValue();
  return out;
}

double PairedAccumulator::LogEValue() const {
  if (!(largest_loss_ > 0)) return 0;  // The two are the same.
  std::vector<double> logs;
  double largest = -INFINITY;
  for (int bet = 0; bet < kBets; ++bet) {
    const double lambda = kLargestShare * std::ldexp(1.0, -bet) / largest_loss_;
    double log = 0;
    for (const double gain : gains_) log += std::log1p(lambda * gain);
    logs.push_back(log);
    largest = std::max(largest, log);
  }
  double sum = 0;
  for (const double log : logs) sum += std::exp(log - largest);
  return largest + std::log(sum / kBets);
}

}  // namespace calserve
