#include "server/monitoring/label_selection.h"

#include <random>

#include "gtest/gtest.h"
#include "server/monitoring/label_arrivals.h"

namespace calserve {
namespace {

ConfidenceSums SumsOf(int n, double confidence) {
  ConfidenceSums sums;
  for (int i = 0; i < n; ++i) sums.Add(confidence);
  return sums;
}

// Predictions, each labelled with a chance of its own.
template <typename Chance>
LabelSelection Simulate(int predictions, uint64_t seed, const Chance& chance) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  ConfidenceSums issued, labelled;
  for (int i = 0; i < predictions; ++i) {
    const double confidence = 0.3 + 0.7 * uniform(random);
    issued.Add(confidence);
    if (uniform(random) < chance(confidence)) labelled.Add(confidence);
  }
  return CompareLabelled(labelled, issued);
}

TEST(LabelSelectionTest, LabelsAtRandomShowNoDifference) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    EXPECT_EQ(Simulate(5000, seed, [](double) { return 0.1; }), LabelSelection::kNoDifference) << seed;
  }
}

TEST(LabelSelectionTest, LabelsOfWhatIsDoubtfulAreSelective) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(Simulate(5000, seed, [](double c) { return c < 0.6 ? 0.2 : 0.05; }),
              LabelSelection::kSelectiveLabels)
        << seed;
  }
}

TEST(LabelSelectionTest, ADifferenceThatDoesNotMatterIsNone) {
  ConfidenceSums issued = SumsOf(1'000'000, 0.8), labelled = SumsOf(500'000, 0.8);
  issued.sum += 0.009 * 1'000'000;
  issued.squares =
      issued.sum * issued.sum / 1'000'000;  // no variance: any difference is many standard errors
  EXPECT_EQ(CompareLabelled(labelled, issued), LabelSelection::kNoDifference);
  issued.sum += 0.002 * 1'000'000;
  issued.squares = issued.sum * issued.sum / 1'000'000;
  EXPECT_EQ(CompareLabelled(labelled, issued), LabelSelection::kSelectiveLabels);
}

TEST(LabelSelectionTest, FewLabelsSayNothing) {
  EXPECT_EQ(CompareLabelled({}, {}), LabelSelection::kTooFewLabels);
  EXPECT_EQ(CompareLabelled(SumsOf(99, 0.2), SumsOf(10'000, 0.9)), LabelSelection::kTooFewLabels);
  EXPECT_EQ(CompareLabelled(SumsOf(100, 0.2), SumsOf(10'000, 0.9)), LabelSelection::kSelectiveLabels);
  EXPECT_EQ(CompareLabelled(SumsOf(200, 0.2), SumsOf(100, 0.9)), LabelSelection::kTooFewLabels);
}

TEST(IssuedConfidencesTest, AddsRequests) {
  IssuedConfidences issued;
  issued.Add({2, 1.5, 1.25});
  issued.Add({1, 0.5, 0.25});
  EXPECT_EQ(issued.sums(), (ConfidenceSums{3, 2.0, 1.5}));
}

TEST(LabelArrivalsTest, CountsDelaysOfAllAndConfidencesOfTheCounted) {
  LabelArrivals arrivals;
  EXPECT_EQ(arrivals.summary().labels, 0);
  arrivals.Add(0.5, absl::Seconds(2), true);
  arrivals.Add(0.7, absl::Seconds(4), true);
  arrivals.Add(0.9, absl::Hours(1), false);
  const LabelArrivals::Summary summary = arrivals.summary();
  EXPECT_EQ(summary.labels, 3);
  EXPECT_EQ(summary.labelled.n, 2);
  EXPECT_DOUBLE_EQ(summary.labelled.mean(), 0.6);
  EXPECT_EQ(summary.mean_delay, absl::Seconds(1202));
}

TEST(LabelArrivalsTest, TheMedianDelayIsWithinTenPercent) {
  for (int64_t millis = 5; millis < int64_t{3'000'000'000}; millis = millis * 9 / 7) {
    LabelArrivals arrivals;
    arrivals.Add(0.5, absl::ZeroDuration(), true);
    for (int i = 0; i < 2; ++i) arrivals.Add(0.5, absl::Milliseconds(millis), true);
    arrivals.Add(0.5, absl::InfiniteDuration(), true);
    const double median = absl::ToDoubleMilliseconds(arrivals.summary().median_delay);
    EXPECT_NEAR(median / static_cast<double>(millis), 1, 0.1) << millis;
  }
}

TEST(LabelArrivalsTest, AClockThatWasSetBackIsNoDelay) {
  LabelArrivals arrivals;
  arrivals.Add(0.5, absl::Seconds(-5), true);
  EXPECT_EQ(arrivals.summary().mean_delay, absl::ZeroDuration());
}

}  // namespace
}  // namespace calserve
