// Kolmogorov-Smirnov, Kuiper, Spiegelhalter and the debiased test: what every test of calibration must do.

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "calibration/metrics/cumulative_tests.h"
#include "calibration/metrics/debiased_test.h"
#include "calibration/metrics/spiegelhalter.h"
#include "tests/unit/calibration/metrics/metrics_testing.h"

namespace calserve {
namespace {

struct NamedTest {
  std::string name;
  std::function<CalibrationTestResult(absl::Span<const ConfidenceGroup>)> run;
};

CalibrationTestResult FastDebiasedTest(absl::Span<const ConfidenceGroup> groups) {
  return DebiasedCalibrationTest(groups, DebiasedTestBins(CountRows(groups)), 199);
}

const std::vector<NamedTest>& Tests() {
  static const auto* const tests = new std::vector<NamedTest>{{"Kolmogorov-Smirnov", KolmogorovSmirnovTest},
                                                              {"Kuiper", KuiperTest},
                                                              {"Spiegelhalter", SpiegelhalterTest},
                                                              {"debiased", FastDebiasedTest}};
  return *tests;
}

double RejectedShare(const NamedTest& test, const std::function<double(double)>& accuracy, int rows) {
  constexpr int kRuns = 400;
  int rejected = 0;
  for (int seed = 0; seed < kRuns; ++seed) {
    rejected += test.run(RandomTopLabel(rows, accuracy, seed).Groups()).p_value <= 0.05 ? 1 : 0;
  }
  return static_cast<double>(rejected) / kRuns;
}

TEST(CalibrationTestsTest, RejectACalibratedModelAsOftenAsTheySay) {
  for (const NamedTest& test : Tests()) {
    const double share = RejectedShare(test, Calibrated, 600);
    EXPECT_LE(share, 0.085) << test.name;  // 0.05 and three standard errors of 400 runs
    EXPECT_GE(share, 0.015) << test.name;
  }
}

TEST(CalibrationTestsTest, RejectAnOverconfidentModel) {
  for (const NamedTest& test : Tests()) {
    EXPECT_GE(RejectedShare(
                  test, [](double c) { return c - 0.12; }, 600),
              0.9)
        << test.name;
  }
}

// Too sure below 0.7 and not sure enough above, the mean right: a difference of means alone does not see it.
TEST(CalibrationTestsTest, TheDebiasedTestSeesGapsThatCancel) {
  const auto waves = [](double c) { return std::clamp(c + 0.2 * std::sin(25 * c), 0.0, 1.0); };
  EXPECT_GE(RejectedShare(Tests()[3], waves, 1500), 0.9);
}

TEST(CalibrationTestsTest, CertaintyThatIsWrongIsImpossible) {
  const auto wrong = *GroupByConfidence({1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f}, {0, 0, 0, 0, 0, 0});
  const auto right = *GroupByConfidence({1.0f, 1.0f, 0.0f}, {1, 1, 0});
  for (const NamedTest& test : Tests()) {
    EXPECT_LE(test.run(wrong).p_value, 1.0 / 200) << test.name;
    EXPECT_EQ(test.run(right).p_value, 1) << test.name;
    EXPECT_EQ(test.run({}).p_value, 1) << test.name;
  }
  EXPECT_FALSE(KuiperTest(wrong).statistic.has_value());
}

TEST(CalibrationTestsTest, AreTheSameEachTime) {
  const auto groups = RandomTopLabel(300, Calibrated, 9).Groups();
  for (const NamedTest& test : Tests()) EXPECT_EQ(test.run(groups), test.run(groups)) << test.name;
}

// MAPIE leaves the walk's start out: 0 for a single row, and a p-value that is not a number.
TEST(CumulativeTestsTest, TheWalkBeginsAtZero) {
  const CalibrationTestResult one = KuiperTest(*GroupByConfidence({0.5f}, {1}));
  EXPECT_EQ(*one.statistic, 1);
  EXPECT_NEAR(one.p_value, BrownianRangeTail(1), 1e-15);
}

TEST(CumulativeTestsTest, TheTwoSeriesOfATailMeet) {
  for (const auto tail : {BrownianMaximumTail, BrownianRangeTail}) {
    EXPECT_NEAR(tail(1.5 - 1e-12), tail(1.5 + 1e-12), 1e-11);
    EXPECT_EQ(tail(0), 1);
    double last = 1;
    for (double x = 0.05; x < 12; x += 0.05) {
      EXPECT_LE(tail(x), last + 1e-15) << x;
      EXPECT_GE(tail(x), 0) << x;
      last = tail(x);
    }
    EXPECT_GT(tail(8), 0) << "1 - CDF would have no digit left";
    EXPECT_EQ(tail(1e9), 0);
  }
}

TEST(DebiasedTestTest, BinsGrowWithTheRows) {
  EXPECT_EQ(DebiasedTestBins(0), 1);
  EXPECT_EQ(DebiasedTestBins(1), 1);
  EXPECT_EQ(DebiasedTestBins(1000), 16);
  EXPECT_EQ(DebiasedTestBins(100'000), 100);
  EXPECT_EQ(DebiasedTestBins(int64_t{1} << 40), 1000);
}

}  // namespace
}  // namespace calserve
