#ifndef CALSERVE_TESTS_UNIT_FEEDBACK_REFIT_CONFORMANCE_H_
#define CALSERVE_TESTS_UNIT_FEEDBACK_REFIT_CONFORMANCE_H_

#include <optional>
#include <vector>

#include "tests/unit/feedback/conformance_fixture.h"

// Of the conformance suite (store_conformance.h): attempts at a refit, and what they stand on.
namespace calserve {

inline RefitAttempt AttemptOf(int64_t incumbent, int64_t attempt, int64_t candidate, absl::Time time) {
  RefitAttempt made;
  made.model = "m'; --";
  made.model_version = 2;
  made.incumbent = incumbent;
  made.attempt = attempt;
  made.candidate = candidate;
  made.judged_position = 100 * attempt;
  made.time = time;
  return made;
}

TEST_P(StoreConformanceTest, RefitAttemptsAreListedByIncumbentTheNewestFirst) {
  const RefitAttempt first = AttemptOf(0, 1, 1, kStart), second = AttemptOf(0, 2, 2, kStart + absl::Hours(1));
  RefitAttempt rollback = AttemptOf(3, 1, 0, kStart + absl::Hours(2));
  rollback.kind = RefitAttempt::Kind::kRollback;
  for (const RefitAttempt& each : {second, first, rollback}) {
    ASSERT_TRUE(store_->SaveRefitAttempt(each).ok());
  }
  EXPECT_THAT(*store_->ListRefitAttempts("m'; --", 2, std::nullopt, 10),
              ElementsAre(rollback, second, first));
  EXPECT_THAT(*store_->ListRefitAttempts("m'; --", 2, 0, 1), ElementsAre(second));
  EXPECT_THAT(*store_->ListRefitAttempts("m'; --", 3, std::nullopt, 10), IsEmpty());
}

TEST_P(StoreConformanceTest, ARefitAttemptEndsInPlaceAndItsReasonIsTheCandidatesNote) {
  StoredCalibrator calibrator;
  calibrator.model = "m'; --";
  calibrator.model_version = 2;
  calibrator.digest = "d";
  calibrator.content = "{}";
  calibrator.origin = "fit";
  calibrator.fit_position = 40;
  ASSERT_TRUE(store_->AddCalibrator(calibrator).ok());
  RefitAttempt attempt = AttemptOf(0, 1, 1, kStart);
  ASSERT_TRUE(store_->SaveRefitAttempt(attempt).ok());
  attempt.outcome = RefitAttempt::Outcome::kKept;
  attempt.reason = "no better";
  ASSERT_TRUE(store_->SaveRefitAttempt(attempt).ok());
  EXPECT_THAT(*store_->ListRefitAttempts("m'; --", 2, 0, 10), ElementsAre(attempt));
  EXPECT_EQ(store_->ListCalibrators("m'; --")->front().note, "no better");
  EXPECT_EQ(store_->ListCalibrators("m'; --")->front().fit_position, 40);
}

TEST_P(StoreConformanceTest, TheSameCalibratorFittedAgainHasSeenTheLaterLabels) {
  StoredCalibrator calibrator;
  calibrator.model = "m";
  calibrator.digest = "d";
  calibrator.content = "{}";
  calibrator.origin = "fit";
  for (const auto& [fitted, seen] : std::vector<std::pair<int64_t, int64_t>>{{40, 40}, {70, 70}, {50, 70}}) {
    calibrator.fit_position = fitted;
    EXPECT_EQ(store_->AddCalibrator(calibrator)->fit_position, seen);
  }
  EXPECT_EQ(store_->ListCalibrators("m")->front().fit_position, 70);
}

TEST_P(StoreConformanceTest, TheLastActivationSaysWhatWhenAndAfterWhichLabel) {
  EXPECT_EQ(*store_->LastActivation("m", 1), std::nullopt);
  StoredCalibrator calibrator;
  calibrator.model = "m";
  calibrator.model_version = 1;
  calibrator.digest = "d";
  calibrator.content = "{}";
  calibrator.origin = "fit";
  ASSERT_TRUE(store_->AddCalibrator(calibrator).ok());
  std::vector<ScoredLabel> labels = {MakeLabel(1), MakeLabel(2)};
  ASSERT_TRUE(store_->Append(absl::MakeSpan(labels), kStart).ok());
  ASSERT_TRUE(store_->ActivateCalibrator("m", 1, 1, 0, kStart).ok());
  ASSERT_TRUE(store_->ActivateCalibrator("m", 1, 0, 1, kStart + absl::Seconds(5)).ok());
  EXPECT_EQ(*store_->LastActivation("m", 1), (CalibratorActivation{0, 1, 2, kStart + absl::Seconds(5)}));
}

TEST_P(StoreConformanceTest, RefitAttemptsLast) {
  if (!GetParam().durable) GTEST_SKIP() << "this store does not last";
  const RefitAttempt attempt = AttemptOf(0, 1, 1, kStart + absl::Microseconds(3));
  ASSERT_TRUE(store_->SaveRefitAttempt(attempt).ok());
  Reopen();
  EXPECT_THAT(*store_->ListRefitAttempts("m'; --", 2, std::nullopt, 10), ElementsAre(attempt));
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_FEEDBACK_REFIT_CONFORMANCE_H_
