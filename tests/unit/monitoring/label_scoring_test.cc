#include "server/monitoring/label_scoring.h"

#include <cmath>
#include <limits>

#include "calibration/metrics.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/monitoring/monitoring_testing.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

float NllOf(const Calibrator& calibrator, const TicketContent& content, int label) {
  std::vector<float> probabilities(content.classes);
  EXPECT_TRUE(calibrator.Apply(Logits(content), absl::MakeSpan(probabilities)).ok());
  return static_cast<float>(RowNll(probabilities, label));
}

TEST(LabelScorerTest, TakesConfidenceAndCorrectnessAsServed) {
  LabelScorer scorer(LookUpTemperature);
  ScoredLabel row = MakeLabel(1);
  row.time = absl::FromUnixMicros(1'234'567'890);
  row.label = 4;
  row.prediction.predicted_class = 4;
  row.prediction.uncalibrated_class = 5;
  row.prediction.confidence = 0.3f;
  row.prediction.uncalibrated_confidence = 0.9f;
  const WindowLabel scored = *scorer.Score(row);
  EXPECT_EQ(scored.time_micros, 1'234'567'890);
  EXPECT_EQ(scored.served.confidence, 0.3f);
  EXPECT_TRUE(scored.served.correct);
  EXPECT_EQ(scored.uncalibrated.confidence, 0.9f);
  EXPECT_FALSE(scored.uncalibrated.correct);
}

TEST(LabelScorerTest, ServedNllIsThatOfTheCalibratorThatServed) {
  LabelScorer scorer(LookUpTemperature);
  const ScoredLabel row = MakeLabel(1, 7);
  const WindowLabel scored = *scorer.Score(row);
  EXPECT_EQ(scored.served.nll, NllOf(TemperatureOf(2), row.prediction, 7));
  EXPECT_EQ(scored.uncalibrated.nll, NllOf(Calibrator::None(10), row.prediction, 7));
  EXPECT_NE(scored.served.nll, scored.uncalibrated.nll);
  EXPECT_NE(scored.served.brier, scored.uncalibrated.brier);
}

TEST(LabelScorerTest, VersionZeroIsSoftmaxAndNotLookedUp) {
  LabelScorer scorer(
      [](const std::string&, int64_t, int64_t) -> absl::StatusOr<std::shared_ptr<const Calibrator>> {
        return absl::InternalError("not to be called");
      });
  ScoredLabel row = MakeLabel(1, 7);
  row.prediction.calibrator_version = 0;
  const WindowLabel scored = *scorer.Score(row);
  EXPECT_EQ(scored.served.nll, NllOf(Calibrator::None(10), row.prediction, 7));
  EXPECT_EQ(scored.served.brier, scored.uncalibrated.brier);
}

TEST(LabelScorerTest, ProbabilitiesAreThoseThatTheScoresAreOf) {
  LabelScorer scorer(LookUpTemperature);
  ScoredLabel row = MakeLabel(1, 7);
  const WindowLabel scored = *scorer.Score(row);
  ASSERT_EQ(scorer.served_probabilities().size(), 10u);
  EXPECT_EQ(static_cast<float>(RowNll(scorer.served_probabilities(), 7)), scored.served.nll);
  EXPECT_EQ(static_cast<float>(RowNll(scorer.uncalibrated_probabilities(), 7)), scored.uncalibrated.nll);
  row.prediction.calibrator_version = 0;
  ASSERT_TRUE(scorer.Score(row).ok());
  EXPECT_EQ(scorer.served_probabilities(), scorer.uncalibrated_probabilities());
  row.prediction.logits_fp16.clear();
  ASSERT_TRUE(scorer.Score(row).ok());
  EXPECT_TRUE(scorer.served_probabilities().empty()) << "not those of the row before";
  EXPECT_TRUE(scorer.uncalibrated_probabilities().empty());
}

TEST(LabelScorerTest, RowWithoutLogitsCountsWithoutNll) {
  LabelScorer scorer(LookUpTemperature);
  ScoredLabel row = MakeLabel(1);
  row.prediction.logits_fp16.clear();
  const WindowLabel scored = *scorer.Score(row);
  EXPECT_EQ(scored.served.nll, WindowLabel::kNoLogits);
  EXPECT_EQ(scored.served.brier, WindowLabel::kNoLogits);
  EXPECT_EQ(scored.uncalibrated.nll, WindowLabel::kNoLogits);
}

TEST(LabelScorerTest, RowOfALostCalibratorCountsWithoutServedNll) {
  LabelScorer scorer(
      [](const std::string&, int64_t, int64_t) { return std::shared_ptr<const Calibrator>(); });
  const WindowLabel scored = *scorer.Score(MakeLabel(1));
  EXPECT_EQ(scored.served.nll, WindowLabel::kNoLogits);
  EXPECT_NE(scored.uncalibrated.nll, WindowLabel::kNoLogits);
}

TEST(LabelScorerTest, CalibratorOfOtherClassesIsNotApplied) {
  LabelScorer scorer(
      [](const std::string&, int64_t, int64_t) -> absl::StatusOr<std::shared_ptr<const Calibrator>> {
        return std::make_shared<const Calibrator>(TemperatureOf(2, 3));
      });
  EXPECT_EQ(scorer.Score(MakeLabel(1))->served.nll, WindowLabel::kNoLogits);
}

TEST(LabelScorerTest, LabelThatIsNoClassAndLogitsThatAreNoNumbersGiveNoNll) {
  LabelScorer scorer(LookUpTemperature);
  EXPECT_EQ(scorer.Score(MakeLabel(1, 10))->served.nll, WindowLabel::kNoLogits);
  EXPECT_EQ(scorer.Score(MakeLabel(1, -1))->uncalibrated.nll, WindowLabel::kNoLogits);
  ScoredLabel row = MakeLabel(1);
  row.prediction.max_logit = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(scorer.Score(row)->served.nll, WindowLabel::kNoLogits);
}

CalibratorLookup LookUpWithSets(std::vector<SetThreshold> thresholds) {
  return [thresholds](const std::string&, int64_t,
                      int64_t) -> absl::StatusOr<std::shared_ptr<const Calibrator>> {
    CalibratorSpec spec = TemperatureOf(2).spec();
    spec.set_thresholds = thresholds;
    return std::make_shared<const Calibrator>(*Calibrator::Create(spec));
  };
}

// The probabilities fall from class 0 to class 9.
TEST(LabelScorerTest, TellsWhetherTheSetsHoldTheLabel) {
  LabelScorer scorer(
      LookUpWithSets({{ConformalScore::kThr, 0.1, 0.9, 50}, {ConformalScore::kAps, 0.1, 0.5, 50}}));
  for (int label = 0; label < 10; ++label) {
    const WindowLabel scored = *scorer.Score(MakeLabel(1, label));
    const absl::Span<const float> p = scorer.served_probabilities();
    int thr = 0, aps = 0;
    double sum = 0;
    for (const float of_class : p) {
      thr += 1 - static_cast<double>(of_class) <= 0.9 ? 1 : 0;
      aps += (sum += of_class) <= 0.5 ? 1 : 0;
    }
    ASSERT_TRUE(scored.extras.set(0).has_value() && scored.extras.set(1).has_value());
    EXPECT_EQ(scored.extras.set(0)->size, thr);
    EXPECT_EQ(scored.extras.set(1)->size, aps);
    EXPECT_EQ(scored.extras.set(0)->covered, label < thr);
    EXPECT_EQ(scored.extras.set(1)->covered, label < aps);
    EXPECT_FALSE(scored.extras.set(2).has_value());
    EXPECT_TRUE(thr > 1 && thr < 10 && aps > 1 && aps < 10) << "the test tells them apart";
  }
  EXPECT_EQ(scorer.set_thresholds().size(), 2u);
}

TEST(LabelScorerTest, AnApsSetHoldsTheMostProbableClassAndAThrSetMayBeEmpty) {
  LabelScorer scorer(
      LookUpWithSets({{ConformalScore::kThr, 0.1, 0, 50}, {ConformalScore::kAps, 0.1, 0, 50}}));
  for (const int label : {0, 1}) {
    const WindowLabel scored = *scorer.Score(MakeLabel(1, label));
    EXPECT_EQ(scored.extras.set(0)->size, 0);
    EXPECT_FALSE(scored.extras.set(0)->covered);
    EXPECT_EQ(scored.extras.set(1)->size, 1);
    EXPECT_EQ(scored.extras.set(1)->covered, label == 0);
  }
}

TEST(LabelScorerTest, RowWithoutLogitsCountsForNoSet) {
  LabelScorer scorer(LookUpWithSets({{ConformalScore::kThr, 0.1, 0.9, 50}}));
  ScoredLabel row = MakeLabel(1);
  row.prediction.logits_fp16.clear();
  EXPECT_TRUE(scorer.Score(row)->extras.empty());
  EXPECT_TRUE(scorer.Score(MakeLabel(1, 10))->extras.empty()) << "a label that is no class";
}

TEST(LabelScorerTest, TakesTheInclusionProbabilityOver) {
  LabelScorer scorer(LookUpTemperature);
  ScoredLabel row = MakeLabel(1);
  EXPECT_FALSE(scorer.Score(row)->extras.weight().has_value());
  row.inclusion_probability = 0.5;
  EXPECT_EQ(*scorer.Score(row)->extras.weight(), 2 * 4096);
}

TEST(LabelScorerTest, FailingLookupFailsAndIsAskedAgain) {
  int calls = 0;
  LabelScorer scorer([&](const std::string& model, int64_t model_version,
                         int64_t version) -> absl::StatusOr<std::shared_ptr<const Calibrator>> {
    if (++calls == 1) return absl::UnavailableError("disk full");
    return LookUpTemperature(model, model_version, version);
  });
  EXPECT_THAT(scorer.Score(MakeLabel(1)).status(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("disk full")));
  EXPECT_NE(scorer.Score(MakeLabel(1))->served.nll, WindowLabel::kNoLogits);
  EXPECT_TRUE(scorer.Score(MakeLabel(2)).ok());
  EXPECT_EQ(calls, 2) << "a calibrator that was found is remembered";
}

}  // namespace
}  // namespace calserve
