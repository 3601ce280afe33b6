// Prediction sets in answers.
#include <cmath>

#include "calibration/conformal.h"
#include "tests/unit/prediction/predictor_fixture.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PredictionSetTest : public PredictorFixture {
 protected:
  void PublishWithSets(std::vector<SetThreshold> thresholds, int classes = 4) {
    Publish({.classes = classes, .columns = classes});
    CalibratorSpec spec{
        CalibrationMethod::kTemperature, classes, {{"temperature", {1.0}}}, std::move(thresholds)};
    ASSERT_TRUE(table_.SetCalibrator("puppet", 3,
                                     std::make_shared<ServedCalibrator>(
                                         ServedCalibrator{*Calibrator::Create(std::move(spec)), 2, "c0de"})));
  }
  PredictionRequest Asking(std::optional<ConformalScore> score, double alpha) {
    PredictionRequest request = Request({Tensor({1, 3, 0, 2})});
    request.prediction_set = SetChoice{score, alpha};
    return request;
  }
  absl::StatusOr<PredictionResponse> Answer(PredictionRequest request) { return Predict(std::move(request)); }
};

const SetThreshold kThr{ConformalScore::kThr, 0.1, 0.8, 100}, kAps{ConformalScore::kAps, 0.05, 0.95, 100};

TEST_F(PredictionSetTest, HoldsTheClassesWhoseScoreIsAtMostTheThreshold) {
  PublishWithSets({kThr, kAps});
  for (const SetThreshold& threshold : {kThr, kAps}) {
    const absl::StatusOr<PredictionResponse> response = Answer(Asking(threshold.score, threshold.alpha));
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->set_threshold, threshold);
    const Prediction& prediction = response->predictions[0];
    const std::vector<int> expected =
        PredictionSet(threshold.score, threshold.threshold, prediction.probabilities, {1.0, 3.0, 0.0, 2.0});
    ASSERT_TRUE(prediction.set.has_value());
    EXPECT_EQ(prediction.set->size, 2);
    std::vector<int> found;
    for (const Prediction::TopClass& of_set : prediction.set->classes) {
      found.push_back(of_set.index);
      EXPECT_EQ(of_set.probability, prediction.probabilities[of_set.index]);
    }
    EXPECT_EQ(found, expected);
    EXPECT_THAT(found, ElementsAre(1, 3));
  }
}

TEST_F(PredictionSetTest, IsNotThereUnlessAskedFor) {
  PublishWithSets({kThr});
  const absl::StatusOr<PredictionResponse> response = Answer(Request({Tensor({1, 3, 0, 2})}));
  ASSERT_TRUE(response.ok());
  EXPECT_FALSE(response->predictions[0].set.has_value());
  EXPECT_FALSE(response->set_threshold.has_value());
}

TEST_F(PredictionSetTest, OfVeryManyClassesTheMostProbableAreGiven) {
  constexpr int kClasses = 1500;
  PublishWithSets({{ConformalScore::kThr, 0.1, 1.0, 100}}, kClasses);
  std::vector<float> logits(kClasses);
  for (int k = 0; k < kClasses; ++k) logits[k] = static_cast<float>(k) / 1000.0f;
  PredictionRequest request = Request({Tensor(logits)});
  request.prediction_set = SetChoice{ConformalScore::kThr, 0.1};
  const absl::StatusOr<PredictionResponse> response = Answer(std::move(request));
  ASSERT_TRUE(response.ok()) << response.status();
  const Prediction::Set& set = *response->predictions[0].set;
  EXPECT_EQ(set.size, kClasses);
  ASSERT_EQ(set.classes.size(), 1000u);
  EXPECT_EQ(set.classes[0].index, kClasses - 1);
}

TEST_F(PredictionSetTest, AnAlphaWithoutAThresholdSaysWhichThereAre) {
  PublishWithSets({kThr, kAps});
  for (const auto& [score, alpha] : {std::pair(ConformalScore::kAps, 0.1), {ConformalScore::kThr, 0.2}}) {
    const absl::Status status = Answer(Asking(score, alpha)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("it has THR at alpha 0.1, APS at alpha 0.05"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("fit a calibrator"));
    EXPECT_EQ(ErrorField(status), "options.prediction_set");
    EXPECT_EQ(ErrorReason(status), "NO_SET_THRESHOLD");
  }
}

TEST_F(PredictionSetTest, PlainSoftmaxHasNone) {
  Publish();
  const absl::Status status = Answer(Asking(ConformalScore::kThr, 0.1)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("plain softmax (calibrator 0)"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("it has none"));
}

TEST_F(PredictionSetTest, ABadMethodOrAlphaIsNamed) {
  PublishWithSets({kThr});
  const absl::Status method = Answer(Asking(std::nullopt, 0.1)).status();
  EXPECT_EQ(method.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorField(method), "options.prediction_set.method");
  for (const double alpha : {0.0, 1.0, -1.0, std::nan("")}) {
    const absl::Status status = Answer(Asking(ConformalScore::kThr, alpha)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ErrorField(status), "options.prediction_set.alpha");
  }
}

}  // namespace
}  // namespace calserve
