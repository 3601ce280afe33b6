// How often the 95 % interval of the binned ECE holds the population's (issue 5: 93 to 97 %; of a calibrated
// model, whose ECE is 0, its low end is 0). A model of K classes with logits z ~ Normal(0, s^2) serves
// softmax(z); the truth is drawn from softmax(z / T).
//
//   ece_coverage [RUNS]    a line for each T and n, in Markdown

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "calibration/metrics.h"
#include "calibration/softmax.h"

namespace calserve {
namespace {

constexpr int kClasses = 10;
constexpr double kSpread = 3;
constexpr int kPopulationRows = 2'000'000;

class Model {
 public:
  Model(double temperature, uint64_t seed)
      : temperature_(temperature), generator_(seed), normal_(0, kSpread) {}

  // The next row's confidence, and the probability that its prediction is right.
  struct Row {
    float confidence;
    double accuracy;
  };
  Row Next() {
    std::vector<double> served(kClasses), truth(kClasses);
    for (int k = 0; k < kClasses; ++k) served[k] = truth[k] = normal_(generator_);
    SoftmaxInPlace(1, absl::MakeSpan(served));
    SoftmaxInPlace(1 / temperature_, absl::MakeSpan(truth));
    const auto predicted = std::max_element(served.begin(), served.end()) - served.begin();
    return {std::min(1.0f, static_cast<float>(served[predicted])), truth[predicted]};
  }

  bool Draw(double probability) { return uniform_(generator_) < probability; }

 private:
  const double temperature_;
  std::mt19937_64 generator_;
  std::normal_distribution<double> normal_;
  std::uniform_real_distribution<double> uniform_{0, 1};
};

// The mean of |gap| over the bins of very many rows, each with its probability of being right.
double PopulationEce(double temperature) {
  if (temperature == 1) return 0;
  Model model(temperature, 1);
  double gaps[kDefaultBins] = {};
  for (int i = 0; i < kPopulationRows; ++i) {
    const Model::Row row = model.Next();
    gaps[BinIndex(row.confidence, kDefaultBins)] += row.accuracy - static_cast<double>(row.confidence);
  }
  double sum = 0;
  for (const double gap : gaps) sum += std::abs(gap);
  return sum / kPopulationRows;
}

void Simulate(double temperature, int rows, int runs) {
  const double truth = PopulationEce(temperature);
  Model model(temperature, 2);
  int covered = 0, low_is_zero = 0;
  double mean = 0, width = 0;
  std::vector<float> confidences(rows);
  std::vector<uint8_t> correct(rows);
  for (int run = 0; run < runs; ++run) {
    for (int i = 0; i < rows; ++i) {
      const Model::Row row = model.Next();
      confidences[i] = row.confidence;
      correct[i] = model.Draw(row.accuracy) ? 1 : 0;
    }
    const absl::StatusOr<CalibrationMetrics> metrics = EvaluateTopLabel(confidences, correct);
    if (!metrics.ok()) std::abort();
    covered += *metrics->ece_low <= truth && truth <= *metrics->ece_high ? 1 : 0;
    low_is_zero += *metrics->ece_low == 0 ? 1 : 0;
    mean += metrics->ece / runs;
    width += (*metrics->ece_high - *metrics->ece_low) / runs;
  }
  const auto percent = [runs](int count) { return 100.0 * count / runs; };
  std::printf("| %g | %d | %.4f | %.4f | %.4f | %.1f %% | %.1f %% |\n", temperature, rows, truth, mean, width,
              percent(covered), percent(low_is_zero));
  std::fflush(stdout);
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
      "| T | n | population ECE | mean ECE | mean width | covered | low end is 0 "
      "|\n|---|---|---|---|---|---|---|\n");
  for (const double temperature : {1.0, 1.1, 1.5}) {
    for (const int rows : {500, 5000}) calserve::Simulate(temperature, rows, runs);
  }
  return 0;
}
