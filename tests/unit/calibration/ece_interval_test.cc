#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "calibration/metrics.h"

namespace calserve {
namespace {

// A population: how confidences are spread, and how often a prediction of such a confidence is right.
struct Population {
  std::string name;
  std::function<double(double)> confidence;  // of a uniform deviate
  std::function<double(double)> accuracy;    // of a confidence
};

double Skewed(double u) { return 1 - 0.7 * u * u * u; }
double Sharp(double u) { return 1 - 0.6 * std::pow(u, 8); }
double Even(double u) { return 0.1 + 0.9 * u; }

const std::vector<Population>& Populations() {
  static const auto* const populations = new std::vector<Population>{
      {"calibrated, skewed", Skewed, [](double c) { return c; }},
      {"calibrated, even", Even, [](double c) { return c; }},
      {"calibrated, sharp", Sharp, [](double c) { return c; }},
      {"0.02 too sure, skewed", Skewed, [](double c) { return c - 0.02; }},
      {"0.1 too sure, skewed", Skewed, [](double c) { return c - 0.1; }},
      {"0.1 too sure, even", Even, [](double c) { return std::max(0.0, c - 0.1); }},
      {"0.1 too sure, sharp", Sharp, [](double c) { return c - 0.1; }},
      {"uneven", Even, [](double c) { return std::clamp(c + 0.1 * std::sin(20 * c), 0.0, 1.0); }},
      {"always wrong", Skewed, [](double) { return 0.0; }},
  };
  return *populations;
}

// ECE of very many rows.
double TrueEce(const Population& population) {
  constexpr int kRows = 300'000;
  double gaps[kDefaultBins] = {};
  for (int i = 0; i < kRows; ++i) {
    const double c = population.confidence((i + 0.5) / kRows);
    gaps[BinIndex(c, kDefaultBins)] += population.accuracy(c) - c;
  }
  double ece = 0;
  for (const double gap : gaps) ece += std::abs(gap) / kRows;
  return ece;
}

CalibrationMetrics Sample(const Population& population, int rows, std::mt19937_64* generator) {
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<float> confidence(rows);
  std::vector<uint8_t> correct(rows);
  for (int i = 0; i < rows; ++i) {
    confidence[i] = static_cast<float>(population.confidence(uniform(*generator)));
    correct[i] = uniform(*generator) < population.accuracy(confidence[i]);
  }
  return *EvaluateTopLabel(confidence, correct);
}

TEST(EceIntervalTest, CoversTheTrueEceOfCalibratedAndMiscalibratedModels) {
  std::mt19937_64 generator(9);
  constexpr int kRuns = 100;
  for (const Population& population : Populations()) {
    const double truth = TrueEce(population);
    for (const int rows : {500, 5000}) {
      int covered = 0;
      for (int run = 0; run < kRuns; ++run) {
        const CalibrationMetrics m = Sample(population, rows, &generator);
        covered += *m.ece_low <= truth + 1e-6 && truth - 1e-6 <= *m.ece_high;
        EXPECT_LE(0, *m.ece_low);
        EXPECT_LE(*m.ece_low, m.ece);
        EXPECT_LE(m.ece, *m.ece_high);
        EXPECT_LE(*m.ece_high, 1);
      }
      // 90 % less two standard errors of the simulation.
      EXPECT_GE(covered, kRuns * 0.84) << population.name << ", " << rows << " rows, ECE " << truth;
    }
  }
}

TEST(EceIntervalTest, HoldsZeroForACalibratedModelAndNotForAnOverconfidentOne) {
  std::mt19937_64 generator(10);
  const CalibrationMetrics calibrated = Sample(Populations()[0], 5000, &generator);
  EXPECT_EQ(*calibrated.ece_low, 0);
  EXPECT_LT(*calibrated.ece_high, 0.03);
  const CalibrationMetrics overconfident = Sample(Populations()[4], 5000, &generator);
  EXPECT_GT(*overconfident.ece_low, 0.07);
  EXPECT_LT(*overconfident.ece_high, 0.13);
}

TEST(EceIntervalTest, IsTheSameEachTime) {
  std::mt19937_64 generator(11);
  CalibrationMetrics m = Sample(Populations()[3], 300, &generator);
  const double low = *m.ece_low, high = *m.ece_high;
  AddEceInterval(&m);
  EXPECT_EQ(*m.ece_low, low);
  EXPECT_EQ(*m.ece_high, high);
}

TEST(EceIntervalTest, AHigherLevelIsWider) {
  std::mt19937_64 generator(12);
  CalibrationMetrics m = Sample(Populations()[4], 500, &generator);
  AddEceInterval(&m, 0.5);
  const double narrow = *m.ece_high - *m.ece_low;
  AddEceInterval(&m, 0.99);
  EXPECT_GT(*m.ece_high - *m.ece_low, 1.5 * narrow);
}

TEST(EceIntervalTest, OneRowStillHasAWideOne) {
  for (const float confidence : {0.0f, 0.5f, 0.9f, 1.0f}) {
    for (const uint8_t correct : {0, 1}) {
      const CalibrationMetrics m = *EvaluateTopLabel({confidence}, {correct});
      EXPECT_TRUE(*m.ece_low >= 0 && *m.ece_low <= m.ece) << confidence;
      EXPECT_TRUE(*m.ece_high >= m.ece && *m.ece_high <= 1) << confidence;
    }
  }
}

}  // namespace
}  // namespace calserve
