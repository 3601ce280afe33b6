#include "calibration/paired_comparison.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "calibration/calibrator.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

constexpr int kClasses = 4;
using Row = std::vector<float>;

std::vector<Row> NormalLogits(int rows, double deviation, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal(0, static_cast<float>(deviation));
  std::vector<Row> logits(rows, Row(kClasses));
  for (Row& row : logits) {
    for (float& z : row) z = normal(generator);
  }
  return logits;
}

Row Softmax(const Row& logits, double temperature) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> powers;
  double sum = 0;
  for (const float z : logits) sum += powers.emplace_back(std::exp((z - largest) / temperature));
  Row probabilities;
  for (const double power : powers) probabilities.push_back(static_cast<float>(power / sum));
  return probabilities;
}

std::vector<Row> Softmax(const std::vector<Row>& logits, double temperature) {
  std::vector<Row> probabilities;
  for (const Row& row : logits) probabilities.push_back(Softmax(row, temperature));
  return probabilities;
}

PairedAccumulator::Side SideOf(const Row& row) {
  return {row, static_cast<int>(std::max_element(row.begin(), row.end()) - row.begin())};
}

int Draw(const std::vector<double>& probabilities, std::mt19937_64& generator) {
  return std::discrete_distribution<int>(probabilities.begin(), probabilities.end())(generator);
}

// The truth (1 - t) incumbent + t candidate under which the two are exactly equally likely in the mean: the
// boundary of what is tested.
std::vector<std::vector<double>> EqualTruth(const std::vector<Row>& incumbent,
                                            const std::vector<Row>& candidate) {
  std::vector<std::vector<double>> truth(incumbent.size(), std::vector<double>(kClasses));
  double low = 0, high = 1;
  for (int step = 0; step < 60; ++step) {
    const double t = (low + high) / 2;
    double gain = 0;
    for (size_t i = 0; i < truth.size(); ++i) {
      for (int k = 0; k < kClasses; ++k) {
        const double p = incumbent[i][k], q = candidate[i][k];
        truth[i][k] = (1 - t) * p + t * q;
        gain += truth[i][k] * std::log(q / p);
      }
    }
    (gain > 0 ? high : low) = t;
  }
  return truth;
}

TEST(PairedComparisonTest, MeanAndStandardErrorAreThoseOfThePairedDifferences) {
  PairedAccumulator accumulator;
  const std::vector<Row> incumbent = {{0.5f, 0.5f}, {0.5f, 0.5f}, {0.25f, 0.75f}};
  const std::vector<Row> candidate = {{0.25f, 0.75f}, {0.25f, 0.75f}, {0.5f, 0.5f}};
  const std::vector<int> labels = {1, 0, 1};
  for (size_t i = 0; i < labels.size(); ++i) {
    accumulator.Add({incumbent[i], 0}, {candidate[i], 1}, labels[i]);
  }
  const double a = std::log(0.5 / 0.75), b = std::log(0.5 / 0.25), c = std::log(0.75 / 0.5);
  const double mean = (a + b + c) / 3;
  const double variance = ((a - mean) * (a - mean) + (b - mean) * (b - mean) + (c - mean) * (c - mean)) / 2;
  const PairedComparison paired = accumulator.Get();
  EXPECT_EQ(paired.n, 3);
  EXPECT_NEAR(paired.nll_difference, mean, 1e-12);
  EXPECT_NEAR(paired.standard_error, std::sqrt(variance / 3), 1e-12);
  EXPECT_NEAR(paired.incumbent_accuracy, 1.0 / 3, 1e-12);
  EXPECT_NEAR(paired.candidate_accuracy, 2.0 / 3, 1e-12);
}

TEST(PairedComparisonTest, TheEValueIsTheMeanOfTheBetsMadeOneByOne) {
  PairedAccumulator accumulator;
  const std::vector<Row> incumbent = {{0.9f, 0.1f}, {0.4f, 0.6f}};
  const std::vector<Row> candidate = {{0.8f, 0.2f}, {0.3f, 0.7f}};
  accumulator.Add({incumbent[0], 0}, {candidate[0], 0}, 1);
  accumulator.Add({incumbent[1], 1}, {candidate[1], 1}, 0);
  // The four losses that there could be, and the two gains that there were.
  const double largest_loss = std::max({std::log(0.9 / 0.8), std::log(0.4 / 0.3)});
  const double first = std::log(0.2 / 0.1), second = std::log(0.3 / 0.4);
  double e = 0;
  for (int j = 0; j < 10; ++j) {
    const double lambda = 0.95 / largest_loss / std::pow(2, j);
    e += (1 + lambda * first) * (1 + lambda * second) / 10;
  }
  EXPECT_NEAR(accumulator.Get().log_e_value, std::log(e), 1e-5);
}

TEST(PairedComparisonTest, NoRowsAndEqualCalibratorsProveNothing) {
  EXPECT_EQ(PairedAccumulator().Get(), PairedComparison());
  PairedAccumulator accumulator;
  const Row row = {0.2f, 0.8f};
  for (int i = 0; i < 100; ++i) accumulator.Add({row, 1}, {row, 1}, i % 2);
  EXPECT_EQ(accumulator.Get().log_e_value, 0);
  EXPECT_EQ(accumulator.Get().nll_difference, 0);
}

TEST(PairedComparisonTest, AnImpossibleLabelLeavesEveryFigureFinite) {
  PairedAccumulator accumulator;
  const Row certain = {0, 1}, even = {0.5f, 0.5f};
  accumulator.Add({even, 0}, {certain, 1}, 0);
  accumulator.Add({certain, 1}, {even, 0}, 0);
  const PairedComparison paired = accumulator.Get();
  EXPECT_TRUE(std::isfinite(paired.nll_difference));
  EXPECT_TRUE(std::isfinite(paired.standard_error));
  EXPECT_TRUE(std::isfinite(paired.log_e_value));
}

// Under the null, P(E >= 1/a) <= a. `lives` of 400 rows each at the boundary of the null; the bound on the
// count is that of a binomial variable at probability a, exceeded once in a million runs at most.
int64_t FalseWins(double incumbent_temperature, double candidate_temperature, double alpha, int lives) {
  int64_t wins = 0;
  const std::vector<Row> logits = NormalLogits(400, 3, 11);
  const std::vector<Row> incumbent = Softmax(logits, incumbent_temperature);
  const std::vector<Row> candidate = Softmax(logits, candidate_temperature);
  const std::vector<std::vector<double>> truth = EqualTruth(incumbent, candidate);
  std::mt19937_64 generator(12);
  for (int life = 0; life < lives; ++life) {
    PairedAccumulator accumulator;
    for (size_t i = 0; i < logits.size(); ++i) {
      accumulator.Add(SideOf(incumbent[i]), SideOf(candidate[i]), Draw(truth[i], generator));
    }
    wins += accumulator.Get().log_e_value >= -std::log(alpha) ? 1 : 0;
  }
  return wins;
}

TEST(PairedComparisonTest, AtTheBoundaryOfTheNullACandidateWinsAtMostAsOftenAsAlpha) {
  constexpr int kLives = 1500;
  constexpr double kAlpha = 0.05;
  // Exceeded by a binomial(1500, 0.05) with probability below 1e-6: 75 + 4.9 standard deviations of 8.44.
  constexpr int64_t kMost = 117;
  EXPECT_LE(FalseWins(1, 2, kAlpha, kLives), kMost) << "milder";
  EXPECT_LE(FalseWins(2, 1, kAlpha, kLives), kMost) << "sharper";
  EXPECT_LE(FalseWins(1, 0.25, kAlpha, kLives), kMost) << "much sharper: many small gains, a rare large loss";
}

TEST(PairedComparisonTest, ACandidateThatIsRightWinsOverAnOverconfidentIncumbent) {
  const std::vector<Row> logits = NormalLogits(500, 3, 21);
  const std::vector<Row> incumbent = Softmax(logits, 1), candidate = Softmax(logits, 2);
  std::mt19937_64 generator(22);
  PairedAccumulator accumulator, reversed;
  for (size_t i = 0; i < logits.size(); ++i) {
    const int label = Draw({candidate[i].begin(), candidate[i].end()}, generator);
    accumulator.Add(SideOf(incumbent[i]), SideOf(candidate[i]), label);
    reversed.Add(SideOf(candidate[i]), SideOf(incumbent[i]), label);
  }
  EXPECT_GT(accumulator.Get().log_e_value, std::log(1000));
  EXPECT_LT(accumulator.Get().nll_difference, 0);
  EXPECT_LT(accumulator.Get().candidate_ece, accumulator.Get().incumbent_ece);
  EXPECT_LT(reversed.Get().log_e_value, 0);
}

}  // namespace
}  // namespace calserve
