// The e-processes against their definition: restarts written out, means over every possible outcome.
#include "calibration/restarted_bet.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "calibration/exactness_process.h"
#include "calibration/gap_process.h"

namespace calserve {
namespace {

struct Label {
  double confidence;
  bool correct;
};

std::vector<Label> RandomLabels(int count, int seed) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<Label> labels;
  for (int i = 0; i < count; ++i) {
    const float confidence = static_cast<float>(uniform(generator));
    labels.push_back({confidence, uniform(generator) < 0.7 * confidence + 0.1});
  }
  return labels;
}

// w_j as the header defines it, by counting bits.
long double Weight(int64_t j) {
  int k = 0;
  while ((int64_t{1} << k) <= j) ++k;
  return 1.0L / (k * (k + 1.0L) * static_cast<long double>(int64_t{1} << (k - 1)));
}

// sum_{j <= t} w_j f_j ... f_t + what waits.
long double EValueByDefinition(const std::vector<long double>& factors) {
  long double sum = 0, started = 0;
  for (size_t j = 0; j < factors.size(); ++j) {
    long double product = Weight(static_cast<int64_t>(j) + 1);
    started += product;
    for (size_t i = j; i < factors.size(); ++i) product *= factors[i];
    sum += product;
  }
  return sum + (1 - started);
}

double GapEValue(GapDirection direction, double tolerance, const std::vector<Label>& labels) {
  GapProcess process(direction, tolerance);
  RestartWeights weights;
  for (const Label& label : labels) {
    process.Push(label.confidence - (label.correct ? 1 : 0), weights.Next(), {});
  }
  return process.EValue(weights.waiting());
}

double ExactEValue(const std::vector<Label>& labels) {
  ExactnessProcess process;
  RestartWeights weights;
  for (const Label& label : labels) process.Push(label.confidence, label.correct, weights.Next(), {});
  return process.EValue(weights.waiting());
}

TEST(RestartedBetTest, WeightsStartedAndWaitingAreOne) {
  RestartWeights weights;
  EXPECT_EQ(weights.waiting(), 1);
  double started = 0;
  for (int64_t t = 1; t <= 200'000; ++t) {
    const double weight = weights.Next();
    ASSERT_NEAR(weight, static_cast<double>(Weight(t)), 1e-18);
    started += weight;
    ASSERT_NEAR(started + weights.waiting(), 1, 1e-11) << t;
  }
}

TEST(RestartedBetTest, TheGapProcessIsTheMeanOfItsRestartsWrittenOut) {
  const std::vector<Label> labels = RandomLabels(300, 1);
  for (const double sign : {1.0, -1.0}) {
    long double expected = 0;
    for (const double lambda : GapProcess::kLambdas) {
      std::vector<long double> factors;
      for (const Label& label : labels) {
        factors.push_back(1 + lambda * (sign * (label.confidence - (label.correct ? 1 : 0)) - 0.02L));
      }
      expected += EValueByDefinition(factors) / GapProcess::kLambdas.size();
    }
    const double e =
        GapEValue(sign > 0 ? GapDirection::kOverconfident : GapDirection::kUnderconfident, 0.02, labels);
    EXPECT_NEAR(e / static_cast<double>(expected), 1, 1e-11);
  }
}

TEST(RestartedBetTest, TheExactnessProcessIsTheMeanOfItsRestartsWrittenOut) {
  const std::vector<Label> labels = RandomLabels(300, 2);
  long double expected = 0;
  for (const int eighths : ExactnessProcess::kEighths) {
    const long double beta = eighths / 8.0L;
    std::vector<long double> factors;
    for (const Label& label : labels) {
      const long double p = label.confidence;
      const long double r = 1 / (1 + std::exp(-beta * std::log(p / (1 - p))));
      factors.push_back(label.correct ? r / p : (1 - r) / (1 - p));
    }
    expected += EValueByDefinition(factors) / ExactnessProcess::kEighths.size();
  }
  EXPECT_NEAR(ExactEValue(labels) / static_cast<double>(expected), 1, 1e-11);
}

// The mean of the e-value over all outcomes of the confidences, each right with probability confidence - gap.
template <typename EValue>
double MeanOverOutcomes(const std::vector<double>& confidences, double gap, const EValue& e_value) {
  double mean = 0;
  for (uint32_t outcome = 0; outcome < (uint32_t{1} << confidences.size()); ++outcome) {
    double probability = 1;
    std::vector<Label> labels;
    for (size_t i = 0; i < confidences.size(); ++i) {
      const bool correct = (outcome >> i & 1) != 0;
      const double right = confidences[i] - gap;
      probability *= correct ? right : 1 - right;
      labels.push_back({confidences[i], correct});
    }
    mean += probability * e_value(labels);
  }
  return mean;
}

const std::vector<double> kConfidences = {0.9, 0.6, 0.35, 0.99, 0.5, 0.8, 0.72, 0.4, 0.95, 0.55, 0.65, 0.3};

TEST(RestartedBetTest, TheMeanEValueIsOneAtTheEdgeOfTheToleranceAndLessWithin) {
  for (const double sign : {1.0, -1.0}) {
    const GapDirection direction = sign > 0 ? GapDirection::kOverconfident : GapDirection::kUnderconfident;
    const auto e_value = [&](const std::vector<Label>& labels) { return GapEValue(direction, 0.01, labels); };
    EXPECT_NEAR(MeanOverOutcomes(kConfidences, sign * 0.01, e_value), 1, 1e-12);
    EXPECT_LT(MeanOverOutcomes(kConfidences, 0, e_value), 1);
    EXPECT_LT(MeanOverOutcomes(kConfidences, sign * -0.01, e_value), 1);
    EXPECT_GT(MeanOverOutcomes(kConfidences, sign * 0.2, e_value), 1);
  }
}

TEST(RestartedBetTest, TheMeanEValueOfExactConfidencesIsOne) {
  EXPECT_NEAR(MeanOverOutcomes(kConfidences, 0, ExactEValue), 1, 1e-12);
  EXPECT_GT(MeanOverOutcomes(kConfidences, 0.2, ExactEValue), 1);
}

TEST(RestartedBetTest, WhatACertainConfidenceForetoldIsNoEvidence) {
  EXPECT_EQ(ExactEValue({{1, true}}), 1);
  EXPECT_EQ(ExactEValue({{0, false}}), 1);
  EXPECT_GT(ExactEValue({{1, false}}), 1000);
  EXPECT_GT(ExactEValue({{0, true}}), 1000);
}

TEST(RestartedBetTest, TheStartIsWhereTheProductOfFactorsIsLargest) {
  const std::vector<double> factors = {0.9, 1.2, 0.5, 1.1, 0.95, 1.3, 1.3, 0.9, 1.1};
  RestartedBet bet;
  for (size_t t = 0; t < factors.size(); ++t) {
    bet.Step(factors[t], 0.1, {static_cast<int64_t>(t) + 1, 0});
    double best = 0;
    int64_t start = 0;
    for (size_t j = 0; j <= t; ++j) {
      double product = 1;
      for (size_t i = j; i <= t; ++i) product *= factors[i];
      if (product > best) best = product, start = static_cast<int64_t>(j) + 1;
    }
    EXPECT_DOUBLE_EQ(bet.best, best);
    EXPECT_EQ(bet.start.position, start) << t;
  }
}

}  // namespace
}  // namespace calserve
