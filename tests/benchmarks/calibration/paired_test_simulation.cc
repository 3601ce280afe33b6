// The paired test of an automatic refit on simulated labels, as Markdown: how often a candidate that is no
// better wins, and how many labels one that is better needs. Rows are 10 logits of N(0, 3^2); the incumbent
// serves softmax(z / T), the candidate softmax(z / T'). Beside it a one-sided t-test of the same differences,
// with the normal quantile. Every figure has a fixed seed.
//
//   paired_test_simulation [LIVES]      10,000 is the default
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "calibration/paired_comparison.h"

namespace calserve {
namespace {

constexpr int kClasses = 10;
constexpr int kRows = 500;
constexpr double kAlpha = 0.01 * 6 / (M_PI * M_PI);  // of the first attempt
constexpr double kQuantile = 2.5068;                 // of a normal variable at 1 - kAlpha

using Row = std::vector<float>;

Row Softmax(const Row& logits, double temperature) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> powers;
  double sum = 0;
  for (const float z : logits) sum += powers.emplace_back(std::exp((z - largest) / temperature));
  Row probabilities;
  for (const double power : powers) probabilities.push_back(static_cast<float>(power / sum));
  return probabilities;
}

// Rows of both calibrators, and the labels' true distribution as running sums.
struct Population {
  std::vector<Row> incumbent, candidate;
  std::vector<std::vector<double>> truth;

  int Label(size_t row, double uniform) const {
    const std::vector<double>& sums = truth[row];
    const auto at = std::upper_bound(sums.begin(), sums.end() - 1, uniform * sums.back());
    return static_cast<int>(at - sums.begin());
  }
};

Population Rows(int rows, double incumbent, double candidate) {
  std::mt19937_64 generator(31);
  std::normal_distribution<float> normal(0, 3);
  Population population;
  for (int i = 0; i < rows; ++i) {
    Row logits(kClasses);
    for (float& z : logits) z = normal(generator);
    population.incumbent.push_back(Softmax(logits, incumbent));
    population.candidate.push_back(Softmax(logits, candidate));
  }
  return population;
}

void SetTruth(double t, Population* population) {
  population->truth.assign(population->incumbent.size(), std::vector<double>(kClasses));
  for (size_t i = 0; i < population->truth.size(); ++i) {
    double sum = 0;
    for (int k = 0; k < kClasses; ++k) {
      sum += (1 - t) * population->incumbent[i][k] + t * population->candidate[i][k];
      population->truth[i][k] = sum;
    }
  }
}

// The mixture of the two under which both are equally likely in the mean: the boundary of the null.
void SetEqualTruth(Population* population) {
  double low = 0, high = 1;
  for (int step = 0; step < 50; ++step) {
    const double t = (low + high) / 2;
    double gain = 0;
    for (size_t i = 0; i < population->incumbent.size(); ++i) {
      for (int k = 0; k < kClasses; ++k) {
        const double p = population->incumbent[i][k], q = population->candidate[i][k];
        gain += ((1 - t) * p + t * q) * std::log(q / p);
      }
    }
    (gain > 0 ? high : low) = t;
  }
  SetTruth(low, population);
}

PairedAccumulator::Side SideOf(const Row& row) {
  return {row, static_cast<int>(std::max_element(row.begin(), row.end()) - row.begin())};
}

void FalseWins(const char* name, double incumbent, double candidate, int lives) {
  Population population = Rows(kRows, incumbent, candidate);
  SetEqualTruth(&population);
  std::mt19937_64 generator(32);
  std::uniform_real_distribution<double> uniform(0, 1);
  int wins = 0, t_wins = 0;
  for (int life = 0; life < lives; ++life) {
    PairedAccumulator accumulator;
    for (size_t i = 0; i < population.truth.size(); ++i) {
      accumulator.Add(SideOf(population.incumbent[i]), SideOf(population.candidate[i]),
                      population.Label(i, uniform(generator)));
    }
    const PairedComparison paired = accumulator.Get();
    wins += paired.log_e_value >= -std::log(kAlpha) ? 1 : 0;
    t_wins += paired.nll_difference < -kQuantile * paired.standard_error ? 1 : 0;
  }
  std::printf("| %s | %g | %g | %.4f %% | %.2f %% |\n", name, incumbent, candidate, 100.0 * wins / lives,
              100.0 * t_wins / lives);
}

// The candidate is right: labels until it has won, in steps of 25, the median of 200 lives.
void Delay(double incumbent, double candidate) {
  constexpr int kLives = 200, kMost = 20'000, kStep = 25;
  Population population = Rows(kMost, incumbent, candidate);
  SetTruth(1, &population);
  std::mt19937_64 generator(33);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<int> needed, t_needed;
  for (int life = 0; life < kLives; ++life) {
    PairedAccumulator accumulator;
    int won = kMost, t_won = kMost;
    const size_t first = generator() % kMost;
    for (int n = 1; n <= kMost && (won == kMost || t_won == kMost); ++n) {
      const size_t row = (first + static_cast<size_t>(n)) % kMost;
      accumulator.Add(SideOf(population.incumbent[row]), SideOf(population.candidate[row]),
                      population.Label(row, uniform(generator)));
      if (n % (n < 1000 ? kStep : 20 * kStep) != 0) continue;
      const PairedComparison paired = accumulator.Get();
      if (paired.log_e_value >= -std::log(kAlpha)) won = std::min(won, n);
      if (paired.nll_difference < -kQuantile * paired.standard_error) t_won = std::min(t_won, n);
    }
    needed.push_back(won);
    t_needed.push_back(t_won);
  }
  std::sort(needed.begin(), needed.end());
  std::sort(t_needed.begin(), t_needed.end());
  std::printf("| %g | %g | %d | %d | %d |\n", incumbent, candidate, needed[kLives / 2],
              needed[kLives * 9 / 10], t_needed[kLives / 2]);
}

}  // namespace
}  // namespace calserve

int main(int argc, char** argv) {
  using namespace calserve;
  const int lives = argc > 1 ? std::atoi(argv[1]) : 10'000;
  std::printf("At the boundary of the null, %d labels, level %.3f %%, %d lives:\n\n", kRows, 100 * kAlpha,
              lives);
  std::printf("| candidate | T | T' | e-value wins | t-test wins |\n|---|---|---|---|---|\n");
  FalseWins("milder", 1, 2, lives);
  FalseWins("a little milder", 1, 1.1, lives);
  FalseWins("sharper", 2, 1, lives);
  FalseWins("a little sharper", 1.1, 1, lives);
  FalseWins("much sharper", 1, 0.25, lives);
  std::printf("\nThe candidate is right; labels until it wins at that level:\n\n");
  std::printf("| T | T' | median | 90 %% | t-test looked at as often, median |\n|---|---|---|---|---|\n");
  for (const auto& [incumbent, candidate] :
       {std::pair(1.0, 1.25), {1.0, 1.5}, {1.0, 2.0}, {1.25, 1.0}, {1.5, 1.0}, {2.0, 1.0}}) {
    Delay(incumbent, candidate);
  }
  return 0;
}
