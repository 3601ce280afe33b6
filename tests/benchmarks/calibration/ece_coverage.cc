// How often the 95 % interval of the binned ECE holds the population's (issue 5: 93 to 97 % at T = 1.1
// and 1.5 and n = 500 and 5,000; of a calibrated model, whose ECE is 0, its low end is 0). A model of K
// classes with logits z ~ Normal(0, s^2) serves softmax(z); the truth is drawn from softmax(z / T). Then
// populations of another kind, in which the confidence is even in [0.1, 1] and the gap a function of it.
//
//   ece_coverage [RUNS]    a line for each population and n, in Markdown

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/metrics.h"
#include "calibration/softmax.h"

namespace calserve {
namespace {

constexpr int kPopulationRows = 2'000'000;

// A prediction's confidence, and the probability that it is right.
struct Row {
  float confidence;
  double accuracy;
};
using Generator = std::mt19937_64;

struct Population {
  std::string name;
  bool calibrated;
  std::function<Row(Generator&)> next;
};

Population Softmax(double temperature, int classes, double spread) {
  const auto next = [=](Generator& generator) {
    std::normal_distribution<double> normal(0, spread);
    std::vector<double> served(classes), truth(classes);
    for (int k = 0; k < classes; ++k) served[k] = truth[k] = normal(generator);
    SoftmaxInPlace(1, absl::MakeSpan(served));
    SoftmaxInPlace(1 / temperature, absl::MakeSpan(truth));
    const auto predicted = std::max_element(served.begin(), served.end()) - served.begin();
    return Row{std::min(1.0f, static_cast<float>(served[predicted])), truth[predicted]};
  };
  return {absl::StrCat("T = ", temperature, ", K = ", classes, ", s = ", spread), temperature == 1, next};
}

Population Even(const char* name, std::function<double(double)> accuracy) {
  const auto next = [accuracy](Generator& generator) {
    const double c = 0.1 + 0.9 * std::uniform_real_distribution<double>(0, 1)(generator);
    return Row{static_cast<float>(c), std::clamp(accuracy(c), 0.0, 1.0)};
  };
  return {name, false, next};
}

// The mean of |gap| over the bins of very many rows, each with its probability of being right.
double PopulationEce(const Population& population) {
  if (population.calibrated) return 0;
  Generator generator(1);
  double gaps[kDefaultBins] = {};
  for (int i = 0; i < kPopulationRows; ++i) {
    const Row row = population.next(generator);
    gaps[BinIndex(row.confidence, kDefaultBins)] += row.accuracy - static_cast<double>(row.confidence);
  }
  double sum = 0;
  for (const double gap : gaps) sum += std::abs(gap);
  return sum / kPopulationRows;
}

void Simulate(const Population& population, double truth, int rows, int runs) {
  Generator generator(2);
  std::uniform_real_distribution<double> uniform(0, 1);
  int covered = 0, below = 0, low_is_zero = 0;
  double mean = 0, width = 0;
  std::vector<float> confidences(rows);
  std::vector<uint8_t> correct(rows);
  for (int run = 0; run < runs; ++run) {
    for (int i = 0; i < rows; ++i) {
      const Row row = population.next(generator);
      confidences[i] = row.confidence;
      correct[i] = uniform(generator) < row.accuracy ? 1 : 0;
    }
    const absl::StatusOr<CalibrationMetrics> metrics = EvaluateTopLabel(confidences, correct);
    if (!metrics.ok()) std::abort();
    covered += *metrics->ece_low <= truth && truth <= *metrics->ece_high ? 1 : 0;
    below += *metrics->ece_high < truth ? 1 : 0;
    low_is_zero += *metrics->ece_low == 0 ? 1 : 0;
    mean += metrics->ece / runs;
    width += (*metrics->ece_high - *metrics->ece_low) / runs;
  }
  const auto percent = [runs](int count) { return 100.0 * count / runs; };
  std::printf("| %s | %d | %.4f | %.4f | %.4f | %.1f %% | %.1f %% | %.1f %% |\n", population.name.c_str(),
              rows, truth, mean, width, percent(covered), percent(below), percent(low_is_zero));
  std::fflush(stdout);
}

void Simulate(const Population& population, std::initializer_list<int> sizes, int runs) {
  const double truth = PopulationEce(population);
  for (const int rows : sizes) Simulate(population, truth, rows, runs);
}

}  // namespace
}  // namespace calserve

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::atoi(argv[1]) : 2000;
  if (runs < 1) {
    std::fprintf(stderr, "usage: ece_coverage [RUNS]\n");
    return 2;
  }
  std::printf(
      "| population | n | population ECE | mean ECE | mean width | covered | high end too low | low end is 0 "
      "|\n"
      "|---|---|---|---|---|---|---|---|\n");
  using namespace calserve;  // NOLINT
  for (const double temperature : {1.0, 1.1, 1.5}) Simulate(Softmax(temperature, 10, 3), {500, 5000}, runs);
  Simulate(Softmax(1.2, 10, 3), {500, 1000, 2000, 5000}, runs);
  for (const double temperature : {1.0, 1.1, 1.5}) Simulate(Softmax(temperature, 10, 3), {1000, 2000}, runs);
  Simulate(Softmax(0.85, 10, 3), {500, 2000}, runs);
  Simulate(Softmax(1.2, 3, 1.5), {500, 2000}, runs);
  Simulate(Softmax(1.3, 20, 5), {500, 2000}, runs);
  Simulate(Even("too steep: 0.85 of the way from 0.5", [](double c) { return c - 0.15 * (c - 0.5); }),
           {500, 2000}, runs);
  Simulate(Even("uneven: 0.1 sin 20c", [](double c) { return c + 0.1 * std::sin(20 * c); }), {500, 2000},
           runs);
  Simulate(Even("0.4 in one bin", [](double c) { return c > 0.6 && c < 2.0 / 3 ? c - 0.4 : c; }), {500, 2000},
           runs);
  return 0;
}
