#include "calibration/conformal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "tests/unit/calibration/oracle_file.h"
#include "tests/unit/calibration/test_util.h"

namespace calserve {
namespace {

using nlohmann::json;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

TEST(ConformalTest, ScoresOfAClosedForm) {
  const std::vector<float> p = {0.25f, 0.5f, 0.125f, 0.125f};
  const std::vector<double> z = {1, 2, 0, 0.5};
  EXPECT_THAT(ConformalScores(ConformalScore::kThr, p, z), ElementsAre(0.75, 0.5, 0.875, 0.875));
  EXPECT_THAT(ConformalScores(ConformalScore::kAps, p, z), ElementsAre(0.75, 0.5, 1, 0.875))
      << "of equal probabilities the larger logit first";
  EXPECT_THAT(PredictionSet(ConformalScore::kAps, 0.875, p, z), ElementsAre(1, 0, 3));
  EXPECT_THAT(PredictionSet(ConformalScore::kThr, 0.8, p, z), ElementsAre(1, 0));
  EXPECT_THAT(PredictionSet(ConformalScore::kThr, 0.4, p, z), IsEmpty());
  EXPECT_THAT(PredictionSet(ConformalScore::kAps, 0.4, p, z), ElementsAre(1))
      << "the most probable is always in";
}

TEST(ConformalTest, TheThresholdIsTheQuantileOfOneMoreRow) {
  std::vector<double> scores;
  for (int i = 99; i >= 1; --i) scores.push_back(i);
  EXPECT_EQ(*ConformalThreshold(scores, 0.1), 90);
  EXPECT_EQ(*ConformalThreshold(scores, 0.07), 93) << "100 * 0.07 is 7.000000000000001";
  EXPECT_EQ(*ConformalThreshold(scores, 0.29), 71) << "100 * 0.29 is 28.999999999999996";
  EXPECT_EQ(*ConformalThreshold(scores, 0.101), 90);
  EXPECT_EQ(*ConformalThreshold(scores, 0.01), 99);
  EXPECT_EQ(*ConformalThreshold(scores, 0.999), 1);
}

TEST(ConformalTest, TooFewRowsLeaveEveryClassIn) {
  for (const ConformalScore score : {ConformalScore::kThr, ConformalScore::kAps}) {
    const double threshold = *ConformalThreshold({0.1, 0.2}, 0.1);
    EXPECT_EQ(threshold, std::numeric_limits<double>::infinity());
    EXPECT_THAT(PredictionSet(score, threshold, {0.9f, 0.1f, 0.0f}, {3.0, 1.0, -90.0}), ElementsAre(0, 1, 2));
  }
  EXPECT_EQ(*ConformalThreshold({}, 0.5), std::numeric_limits<double>::infinity());
}

TEST(ConformalTest, BadValuesAreNamed) {
  for (const double alpha : {0.0, 1.0, -0.5, std::numeric_limits<double>::quiet_NaN()}) {
    ExpectError(ConformalThreshold({0.5}, alpha), absl::StatusCode::kInvalidArgument,
                "alpha must be in (0, 1)");
  }
  ExpectError(ConformalThreshold({0.5, std::numeric_limits<double>::quiet_NaN()}, 0.1),
              absl::StatusCode::kInvalidArgument, "score of row 1");
  const Labelled data = RandomLabelled(5, 3, 1, 1);
  ExpectError(FitConformalThreshold(ConformalScore::kThr, Calibrator::None(4), data.view(), data.labels, 0.1),
              absl::StatusCode::kInvalidArgument, "must have 4 classes");
}

TEST(ConformalTest, ThresholdsAndSetsAreMapies) {
  const json cases = LoadOracle("metrics")["many_classes"];
  for (const json& c : cases) {
    const int classes = c["classes"];
    const auto logits = c["logits"].get<std::vector<double>>(), fresh = c["fresh"].get<std::vector<double>>();
    const auto labels = c["labels"].get<std::vector<int32_t>>();
    const Calibrator softmax = Calibrator::None(classes);
    for (const json& expected : c["conformal"]) {
      const auto fit = [&](ConformalScore score) {
        return *FitConformalThreshold(score, softmax, LogitsView(absl::MakeConstSpan(logits), classes),
                                      labels, expected["alpha"]);
      };
      const double threshold = fit(ConformalScore::kThr);
      EXPECT_THAT(threshold, DoubleNear(expected["thr"], 1e-6));
      EXPECT_THAT(fit(ConformalScore::kAps), DoubleNear(expected["aps"], 1e-6));
      std::vector<float> p(classes);
      for (size_t i = 0; i < expected["thr_sets"].size(); ++i) {
        const auto row = absl::MakeConstSpan(fresh).subspan(i * classes, classes);
        ASSERT_TRUE(softmax.ApplyFloat64(row, absl::MakeSpan(p)).ok());
        EXPECT_THAT(PredictionSet(ConformalScore::kThr, threshold, p, row),
                    UnorderedElementsAreArray(expected["thr_sets"][i].get<std::vector<int>>()));
      }
    }
  }
}

// The share of fresh rows whose set holds the label, over many fits: at least 1 - alpha, and of THR, whose
// scores have no ties, at most 1 / (n + 1) more.
TEST(ConformalTest, SetsCoverAsOftenAsTheySay) {
  constexpr int kFits = 300, kRows = 99, kClasses = 6;
  for (const double alpha : {0.05, 0.2}) {
    for (const ConformalScore score : {ConformalScore::kThr, ConformalScore::kAps}) {
      int64_t covered = 0, total = 0, classes = 0;
      for (int fit = 0; fit < kFits; ++fit) {
        const Labelled all = RandomLabelled(2 * kRows, kClasses, 2, 1000 + fit);  // softmax is overconfident
        const Calibrator softmax = Calibrator::None(kClasses);
        const auto first = absl::MakeConstSpan(all.logits).subspan(0, static_cast<size_t>(kRows) * kClasses);
        const double threshold =
            *FitConformalThreshold(score, softmax, LogitsView(first, kClasses),
                                   absl::MakeConstSpan(all.labels).subspan(0, kRows), alpha);
        std::vector<double> z(kClasses);
        std::vector<float> p(kClasses);
        for (int64_t i = kRows; i < 2 * kRows; ++i) {
          all.view().Row(i, z.data());
          ASSERT_TRUE(softmax.ApplyFloat64(z, absl::MakeSpan(p)).ok());
          const std::vector<int> set = PredictionSet(score, threshold, p, z);
          covered += std::count(set.begin(), set.end(), all.labels[i]);
          classes += static_cast<int64_t>(set.size());
          ++total;
        }
      }
      const double share = static_cast<double>(covered) / static_cast<double>(total);
      // Three standard errors: of the fits' own coverage, about sqrt(alpha (1 - alpha) / n), and of the rows.
      const double error = 3 * std::sqrt(alpha * (1 - alpha) * 2 / kRows / kFits);
      EXPECT_GE(share, 1 - alpha - error) << alpha;
      if (score == ConformalScore::kThr) {
        EXPECT_LE(share, 1 - alpha + 1.0 / (kRows + 1) + error) << alpha;
      }
      EXPECT_LT(static_cast<double>(classes) / static_cast<double>(total), kClasses - 1.0)
          << "not every class";
    }
  }
}

}  // namespace
}  // namespace calserve
