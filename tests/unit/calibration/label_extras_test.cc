#include "calibration/label_extras.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "calibration/bin_edges.h"
#include "calibration/metrics.h"
#include "tests/unit/calibration/window_test_util.h"

namespace calserve {
namespace {

constexpr double kUnit = LabelExtras::kWeightUnit;

double WeightOf(double probability) {
  LabelExtras extras;
  extras.SetInclusionProbability(probability);
  return static_cast<double>(*extras.weight()) * kUnit;
}

TEST(LabelExtrasTest, AreEmptyUntilSomethingIsSet) {
  LabelExtras extras;
  EXPECT_TRUE(extras.empty());
  EXPECT_FALSE(extras.weight().has_value());
  EXPECT_FALSE(extras.set(0).has_value());
  extras.SetInclusionProbability(1);
  EXPECT_FALSE(extras.empty());
}

TEST(LabelExtrasTest, KeepEverySetAndTheWeightApart) {
  LabelExtras extras;
  extras.SetInclusionProbability(0.25);
  extras.SetSet(0, {true, 0});
  extras.SetSet(3, {false, LabelExtras::kMaxSetSize});
  EXPECT_EQ(*extras.weight(), 4 * 4096);
  ASSERT_TRUE(extras.set(0).has_value() && extras.set(3).has_value());
  EXPECT_TRUE(extras.set(0)->covered);
  EXPECT_EQ(extras.set(0)->size, 0);
  EXPECT_FALSE(extras.set(3)->covered);
  EXPECT_EQ(extras.set(3)->size, LabelExtras::kMaxSetSize);
  EXPECT_FALSE(extras.set(1).has_value());
  EXPECT_EQ(*LabelExtras::FromBits(extras.bits()).weight(), 4 * 4096);
}

TEST(LabelExtrasTest, WeightsAreRoundedTo13BitsAndEndAt1024) {
  EXPECT_EQ(WeightOf(1), 1);
  EXPECT_EQ(WeightOf(1e-3), 1000);
  EXPECT_EQ(WeightOf(1.0 / 1024), 1024);
  EXPECT_EQ(WeightOf(1e-9), 1024);
  std::mt19937_64 generator(1);
  std::uniform_real_distribution<double> exponent(std::log(1.0 / 1024), 0);
  for (int i = 0; i < 10'000; ++i) {
    const double p = std::exp(exponent(generator));
    EXPECT_NEAR(WeightOf(p) * p, 1, std::ldexp(1, -13)) << p;
  }
}

// A label as the sums take it.
struct Row {
  double probability;
  double confidence;
  bool correct;
};

void Add(const Row& row, ExtraSums* sums, int64_t sign = 1) {
  LabelExtras extras;
  extras.SetInclusionProbability(row.probability);
  const auto units = static_cast<int64_t>(std::llround(row.confidence * 0x1p30));
  const int bin = BinIndex(row.confidence, kDefaultBins);
  sign > 0 ? sums->Add(extras, bin, units, row.correct) : sums->Remove(extras, bin, units, row.correct);
}

std::vector<Row> RandomRows(int count, int seed) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<Row> rows;
  for (int i = 0; i < count; ++i) {
    const double c = uniform(generator);
    rows.push_back({0.01 + 0.99 * uniform(generator), c, uniform(generator) < c * c});
  }
  return rows;
}

TEST(ExtraSumsTest, WeightedFiguresAreThoseOfTheFormulas) {
  const std::vector<Row> rows = RandomRows(2000, 2);
  ExtraSums sums(kDefaultBins);
  double w1 = 0, w2 = 0, wy = 0, wg = 0;
  double gaps[kDefaultBins] = {};
  for (const Row& row : rows) {
    Add(row, &sums);
    const double w = 1 / row.probability, g = row.confidence - (row.correct ? 1 : 0);
    w1 += w;
    w2 += w * w;
    wy += row.correct ? w : 0;
    wg += w * g;
    gaps[BinIndex(row.confidence, kDefaultBins)] += w * g;
  }
  double accuracy_spread = 0, gap_spread = 0, ece = 0;
  for (const Row& row : rows) {
    const double w = 1 / row.probability, y = row.correct ? 1 : 0;
    accuracy_spread += std::pow(w * (y - wy / w1), 2);
    gap_spread += std::pow(w * (row.confidence - y - wg / w1), 2);
  }
  for (const double gap : gaps) ece += std::abs(gap) / w1;

  const WeightedEstimates found = *sums.Weighted();
  EXPECT_EQ(found.n, 2000);
  EXPECT_NEAR(found.population, w1, 1e-4 * w1);
  EXPECT_NEAR(found.n_effective, w1 * w1 / w2, 2e-3 * found.n_effective);
  EXPECT_NEAR(found.accuracy.value, wy / w1, 1e-4);
  EXPECT_NEAR(found.confidence_gap.value, wg / w1, 1e-4);
  EXPECT_NEAR(found.ece, ece, 1e-4);
  EXPECT_NEAR(*found.accuracy.high - found.accuracy.value, kNormalQuantile * std::sqrt(accuracy_spread) / w1,
              1e-4);
  EXPECT_NEAR(*found.confidence_gap.high - found.confidence_gap.value,
              kNormalQuantile * std::sqrt(gap_spread) / w1, 1e-4);
}

TEST(ExtraSumsTest, WhatIsRemovedLeavesNoTrace) {
  ExtraSums kept(kDefaultBins), evicted(kDefaultBins);
  const std::vector<Row> rows = RandomRows(500, 3);
  for (size_t i = 0; i < rows.size(); ++i) {
    Add(rows[i], &evicted);
    if (i >= 300) Add(rows[i], &kept);
  }
  for (size_t i = 0; i < 300; ++i) Add(rows[i], &evicted, -1);
  EXPECT_EQ(*evicted.Weighted(), *kept.Weighted());
  for (size_t i = 300; i < rows.size(); ++i) Add(rows[i], &evicted, -1);
  EXPECT_FALSE(evicted.Weighted().has_value());
}

TEST(ExtraSumsTest, TheLargestWeightsOfVeryManyLabelsFit) {
  ExtraSums sums(kDefaultBins);
  for (int i = 0; i < 100'000; ++i) Add({1e-9, 1, false}, &sums);
  EXPECT_EQ(sums.Weighted()->population, 102'400'000);
  EXPECT_EQ(sums.Weighted()->confidence_gap.value, 1);
  EXPECT_EQ(sums.Weighted()->accuracy.value, 0);
  EXPECT_EQ(sums.Weighted()->n_effective, 100'000);
}

TEST(ExtraSumsTest, ProbabilitiesOfOneGiveThePlainFigures) {
  ExtraSums sums(kDefaultBins);
  std::vector<float> confidences;
  std::vector<uint8_t> correct;
  for (const Row& row : RandomRows(1000, 4)) {
    const auto confidence = static_cast<float>(row.confidence);
    Add({1, confidence, row.correct}, &sums);
    confidences.push_back(confidence);
    correct.push_back(row.correct ? 1 : 0);
  }
  const CalibrationMetrics plain = *EvaluateTopLabel(confidences, correct);
  EXPECT_NEAR(sums.Weighted()->ece, plain.ece, 1e-6);
  EXPECT_NEAR(sums.Weighted()->noise_floor, plain.noise_floor, 1e-6);
  EXPECT_EQ(sums.Weighted()->accuracy.value, plain.accuracy);
  EXPECT_EQ(sums.Weighted()->n_effective, 1000);
}

// Doubtful predictions are labelled far more often than sure ones, and the model is overconfident where it is
// sure.
TEST(ExtraSumsTest, WeightsUndoAKnownBiasOfTheSampling) {
  std::mt19937_64 generator(5);
  std::uniform_real_distribution<double> uniform(0, 1);
  constexpr int kPopulation = 50'000, kRuns = 200;
  int accuracy_held = 0, gap_held = 0;
  double plain_gap = 0, weighted_gap = 0, true_gap = 0, weighted_ece = 0, true_ece = 0;
  for (int run = 0; run < kRuns; ++run) {
    ExtraSums sample(kDefaultBins);
    double right = 0, gap = 0, sample_gap = 0, bins[kDefaultBins] = {};
    int sampled = 0;
    for (int i = 0; i < kPopulation; ++i) {
      const double c = 1 - 0.5 * uniform(generator);
      const bool correct = uniform(generator) < c - 0.3 * (c - 0.5);
      const double p = c > 0.8 ? 0.02 : 0.3;
      right += correct;
      gap += c - (correct ? 1 : 0);
      bins[BinIndex(c, kDefaultBins)] += c - (correct ? 1 : 0);
      if (uniform(generator) >= p) continue;
      Add({p, c, correct}, &sample);
      sample_gap += c - (correct ? 1 : 0);
      ++sampled;
    }
    const WeightedEstimates found = *sample.Weighted();
    accuracy_held +=
        *found.accuracy.low <= right / kPopulation && right / kPopulation <= *found.accuracy.high;
    gap_held +=
        *found.confidence_gap.low <= gap / kPopulation && gap / kPopulation <= *found.confidence_gap.high;
    for (const double bin : bins) true_ece += std::abs(bin) / kPopulation / kRuns;
    plain_gap += sample_gap / sampled / kRuns;
    weighted_gap += found.confidence_gap.value / kRuns;
    true_gap += gap / kPopulation / kRuns;
    weighted_ece += found.ece / kRuns;
    EXPECT_NEAR(found.population, kPopulation, 0.1 * kPopulation);
  }
  EXPECT_NEAR(weighted_gap, true_gap, 0.003);
  EXPECT_GT(true_gap - plain_gap, 0.02) << "the plain one is of the labelled predictions";
  EXPECT_NEAR(weighted_ece, true_ece, 0.015);
  EXPECT_GE(accuracy_held, 0.91 * kRuns);
  EXPECT_GE(gap_held, 0.91 * kRuns);
}

// As a stream of labels, some of them with extras.
class ExtrasStream {
 public:
  explicit ExtrasStream(int seed) : labels_(seed), generator_(seed) {}
  WindowLabel Next() {
    WindowLabel label = labels_.Next();
    if (generator_() % 3 == 0)
      label.extras.SetInclusionProbability(1.0 / static_cast<double>(1 + generator_() % 2000));
    for (int slot = 0; slot < LabelExtras::kSets; ++slot) {
      if (generator_() % 2 == 0)
        label.extras.SetSet(slot, {generator_() % 10 > 0, static_cast<int>(generator_() % 20)});
    }
    return label;
  }

 private:
  LabelStream labels_;
  std::mt19937 generator_;
};

TEST(WindowExtrasTest, AreThoseOfTheLabelsInTheWindow) {
  ExtrasStream stream(6);
  const auto windows = Windows({"last_100", "last_1h", "decay_1h"});
  std::vector<WindowLabel> labels;
  for (int i = 0; i < 1000; ++i) {
    labels.push_back(stream.Next());
    Push(windows.get(), labels.back());
  }
  const auto last = Windows({"last_100"});
  for (size_t i = 900; i < 1000; ++i) Push(last.get(), labels[i]);
  const WindowMetrics found = windows->Report(0, 0), expected = last->Report(0, 0);
  EXPECT_EQ(found.weighted, expected.weighted);
  EXPECT_EQ(found.sets, expected.sets);
  EXPECT_GT(found.sets[0].n, 0);
  EXPECT_GT(found.sets[0].n, found.sets[0].covered);
  EXPECT_FALSE(windows->Report(2, 0).weighted.has_value());
}

TEST(WindowExtrasTest, AreTheSameAfterBeingStored) {
  ExtrasStream stream(7);
  const std::vector<std::string> names = {"last_100", "last_1h"};
  const auto windows = Windows(names);
  for (int i = 0; i < 700; ++i) Push(windows.get(), stream.Next());
  const auto restored =
      RollingWindows::Deserialize(windows->Serialize(), Specs(names), kDefaultBins, 1'000'000);
  ASSERT_TRUE(restored.ok()) << restored.status();
  for (int i = 0; i < 300; ++i) {
    const WindowLabel label = stream.Next();
    Push(windows.get(), label);
    Push(restored->get(), label);
    const WindowMetrics a = windows->Report(i % 2, label.time_micros),
                        b = (*restored)->Report(i % 2, label.time_micros);
    ASSERT_EQ(a.weighted, b.weighted);
    ASSERT_EQ(a.sets, b.sets);
  }
}

TEST(WindowExtrasTest, TakeRoomOnlyWhereTheyAre) {
  LabelStream plain(8);
  ExtrasStream with(8);
  const auto without = Windows({"last_1000"}), extras = Windows({"last_1000"});
  for (int i = 0; i < 1000; ++i) {
    Push(without.get(), plain.Next());
    Push(extras.get(), with.Next());
  }
  EXPECT_EQ(extras->bytes() - without->bytes(), 8 * 1000);
  EXPECT_LE(static_cast<int64_t>(extras->Serialize().size()), extras->max_serialized_bytes());
}

}  // namespace
}  // namespace calserve
