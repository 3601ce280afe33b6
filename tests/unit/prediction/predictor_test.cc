// Tensors to answers: what is served, what is sealed, and with which calibrator.
#include "server/prediction/predictor.h"

#include <atomic>

#include "server/feedback/half_float.h"
#include "tests/unit/prediction/predictor_fixture.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

class PredictorTest : public PredictorFixture {
 protected:
  static std::vector<int> TopIndices(const Prediction& prediction) {
    std::vector<int> indices;
    for (const Prediction::TopClass& top : prediction.top_classes) indices.push_back(top.index);
    return indices;
  }
  // All of the answer that does not differ by the prediction's id.
  void ExpectSame(const Prediction& a, const Prediction& b) {
    EXPECT_EQ(a.probabilities, b.probabilities);
    EXPECT_EQ(a.logits, b.logits);
    EXPECT_EQ(TopIndices(a), TopIndices(b));
    EXPECT_EQ(a.confidence, b.confidence);
    EXPECT_EQ(a.uncalibrated_confidence, b.uncalibrated_confidence);
    EXPECT_EQ(Open(a.ticket).logits_fp16, Open(b.ticket).logits_fp16);
    EXPECT_EQ(Open(a.ticket).predicted_class, Open(b.ticket).predicted_class);
  }
};

TEST_F(PredictorTest, ServesTheCalibratedProbabilitiesOfTheLogits) {
  Publish();
  table_.SetCalibrator("puppet", 3, Temperature(7, 2));
  const auto response = Predict(Request({Tensor({0, 4, 2, -2})}));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->snapshot.calibrator->version, 7);
  const Prediction& prediction = response->predictions[0];
  EXPECT_THAT(prediction.logits, ElementsAre(0, 4, 2, -2));
  // softmax(0, 2, 1, -1) and the largest of softmax(0, 4, 2, -2).
  EXPECT_THAT(prediction.probabilities,
              Pointwise(FloatNear(1e-6), {0.08714432f, 0.64391426f, 0.23688282f, 0.03205860f}));
  EXPECT_THAT(TopIndices(prediction), ElementsAre(1, 2, 0, 3));
  EXPECT_EQ(prediction.confidence, prediction.probabilities[1]);
  EXPECT_NEAR(prediction.uncalibrated_confidence, 0.86495488, 1e-6);
}

TEST_F(PredictorTest, SendsOnlyWhatWasAskedFor) {
  Publish({.classes = 7, .columns = 7});
  PredictionRequest request = Request({Tensor({1, 2, 3, 4, 5, 6, 7})});
  request.return_logits = request.return_probabilities = false;
  const Prediction by_default = Predict(request)->predictions[0];
  EXPECT_TRUE(by_default.logits.empty());
  EXPECT_TRUE(by_default.probabilities.empty());
  EXPECT_THAT(TopIndices(by_default), ElementsAre(6, 5, 4, 3, 2));
  request.top_k = 1;
  EXPECT_THAT(TopIndices(Predict(request)->predictions[0]), ElementsAre(6));
  request.top_k = 7;
  EXPECT_THAT(TopIndices(Predict(request)->predictions[0]), ElementsAre(6, 5, 4, 3, 2, 1, 0));
}

TEST_F(PredictorTest, CountsTheConfidencesThatItIssues) {
  Publish();
  const auto response = Predict(Request({Tensor({0, 4, 2, -2}), Tensor({1, 0, 0, 0})}));
  ASSERT_TRUE(response.ok()) << response.status();
  const ConfidenceSums issued = table_.Issued("puppet", 3, 0);
  EXPECT_EQ(issued.n, 2);
  EXPECT_NEAR(issued.sum, response->predictions[0].confidence + response->predictions[1].confidence, 1e-6);
}

TEST_F(PredictorTest, EqualProbabilitiesAreOrderedByTheLargerLogitThenTheLowerIndex) {
  Publish();
  table_.SetCalibrator("puppet", 3, Temperature(1, 1e6));
  const auto response = Predict(Request({Tensor({1, 1.01f, 1.01f, 1})}));
  const Prediction& prediction = response->predictions[0];
  ASSERT_THAT(prediction.probabilities, ElementsAre(0.25f, 0.25f, 0.25f, 0.25f));
  EXPECT_THAT(TopIndices(prediction), ElementsAre(1, 2, 0, 3));
  EXPECT_EQ(Open(prediction.ticket).predicted_class, 1);
}

TEST_F(PredictorTest, ASingleLogitIsTheTwoClassPairWithZero) {
  Publish({.classes = 2, .columns = 1});
  const auto response = Predict(Request({Tensor({1.5f}), Tensor({-1.5f}), Tensor({0})}));
  ASSERT_TRUE(response.ok()) << response.status();
  const Prediction& positive = response->predictions[0];
  EXPECT_THAT(positive.logits, ElementsAre(1.5f)) << "as the model gave them";
  EXPECT_THAT(positive.probabilities, Pointwise(FloatNear(1e-6), {0.18242552f, 0.81757448f}));
  EXPECT_THAT(TopIndices(positive), ElementsAre(1, 0));
  const TicketContent sealed = Open(positive.ticket);
  EXPECT_EQ(sealed.classes, 2);
  EXPECT_THAT(Logits(sealed), ElementsAre(0, 1.5f));

  EXPECT_THAT(TopIndices(response->predictions[1]), ElementsAre(0, 1));
  EXPECT_THAT(Logits(Open(response->predictions[1].ticket)), ElementsAre(0, -1.5f));
  EXPECT_THAT(TopIndices(response->predictions[2]), ElementsAre(0, 1)) << "a tie";
}

TEST_F(PredictorTest, TheTicketOpensToExactlyWhatWasServed) {
  Publish();
  table_.SetCalibrator("puppet", 3, Temperature(7, 3));
  PredictionRequest request = Request({Tensor({0.1f, 0.3f, 0.2f, -5}), Tensor({9, 0, 0, 0.25f})});
  request.inputs[0].attributes = {{"camera", "north"}, {"hour", "7"}};
  const auto response = Predict(request);
  ASSERT_TRUE(response.ok()) << response.status();
  for (const Prediction& prediction : response->predictions) {
    const TicketContent sealed = Open(prediction.ticket);
    EXPECT_EQ(sealed.prediction_id.ToString(), prediction.id);
    EXPECT_EQ(sealed.model, "puppet");
    EXPECT_EQ(sealed.model_version, 3);
    EXPECT_EQ(sealed.model_digest, "d1ce");
    EXPECT_EQ(sealed.calibrator_version, 7);
    EXPECT_EQ(sealed.calibrator_digest, "c0de");
    EXPECT_EQ(sealed.issued_at, clock_.Now());
    EXPECT_EQ(sealed.predicted_class, prediction.top_classes[0].index);
    EXPECT_EQ(sealed.uncalibrated_class, prediction.top_classes[0].index);
    EXPECT_EQ(sealed.confidence, prediction.confidence);
    EXPECT_EQ(sealed.uncalibrated_confidence, prediction.uncalibrated_confidence);
    EXPECT_THAT(Logits(sealed), Pointwise(FloatNear(5e-3), prediction.logits));
    EXPECT_EQ(sealed.max_logit, prediction.logits[prediction.top_classes[0].index]);
  }
  EXPECT_EQ(Open(response->predictions[0].ticket).attributes, request.inputs[0].attributes);
  EXPECT_TRUE(Open(response->predictions[1].ticket).attributes.empty());
  EXPECT_NE(response->predictions[0].id, response->predictions[1].id);
}

// Platt may prefer another class than the logits do: both are sealed.
TEST_F(PredictorTest, TheTicketTellsTheServedClassFromThatOfTheLogits) {
  Publish({.classes = 2, .columns = 2});
  const CalibratorSpec spec{CalibrationMethod::kPlatt, 2, {{"slope", {-1}}, {"offset", {2}}}};
  table_.SetCalibrator(
      "puppet", 3,
      std::make_shared<ServedCalibrator>(ServedCalibrator{*Calibrator::Create(spec), 4, "beef"}));
  const auto response = Predict(Request({Tensor({0, 1})}));
  const Prediction& prediction = response->predictions[0];
  EXPECT_THAT(TopIndices(prediction), ElementsAre(0, 1));
  EXPECT_EQ(prediction.confidence, prediction.probabilities[0]);
  EXPECT_NEAR(prediction.uncalibrated_confidence, 0.73105858, 1e-6);
  EXPECT_EQ(Open(prediction.ticket).predicted_class, 0);
  EXPECT_EQ(Open(prediction.ticket).uncalibrated_class, 1);
}

TEST_F(PredictorTest, RowsTogetherAreAnsweredAsEachAlone) {
  Publish();
  table_.SetCalibrator("puppet", 3, Temperature(2, 1.7));
  std::vector<PredictionInput> inputs;
  for (int i = 0; i < 8; ++i) {
    const float x = static_cast<float>(i);
    inputs.push_back(Tensor({x, 3 - x, 0.1f * x * x, -x}));
  }
  const auto together = Predict(Request(inputs));
  ASSERT_TRUE(together.ok()) << together.status();
  ASSERT_EQ(together->predictions.size(), 8);
  for (size_t i = 0; i < inputs.size(); ++i) {
    SCOPED_TRACE(i);
    const auto alone = Predict(Request({inputs[i]}));
    ASSERT_TRUE(alone.ok()) << alone.status();
    ExpectSame(together->predictions[i], alone->predictions[0]);
  }
}

TEST_F(PredictorTest, ARequestIsAnsweredWithTheCalibratorThatItFoundWhenItCame) {
  Publish();
  table_.SetCalibrator("puppet", 3, Temperature(1, 2));
  batcher_->Hold();
  const auto before = Start(Request({Tensor({0, 4, 2, -2})}));
  table_.SetCalibrator("puppet", 3, Temperature(2, 1));
  const auto after = Start(Request({Tensor({0, 4, 2, -2})}));
  batcher_->Run(batcher_->Take());
  batcher_->Run(batcher_->Take());
  EXPECT_EQ(before->Await()->snapshot.calibrator->version, 1);
  EXPECT_NEAR(before->Await()->predictions[0].confidence, 0.64391426, 1e-6);
  EXPECT_EQ(Open(before->Await()->predictions[0].ticket).calibrator_version, 1);
  EXPECT_EQ(after->Await()->snapshot.calibrator->version, 2);
  EXPECT_NEAR(after->Await()->predictions[0].confidence, 0.86495488, 1e-6);
  EXPECT_EQ(Open(after->Await()->predictions[0].ticket).calibrator_version, 2);
}

TEST_F(PredictorTest, AWithdrawnModelAnswersWhatItHas) {
  Publish();
  batcher_->Hold();
  const auto answer = Start(Request({Tensor({0, 4, 2, -2})}));
  table_.Withdraw("puppet", 3);
  EXPECT_EQ(Predict(Request({Tensor({0, 0, 0, 0})})).status().code(), absl::StatusCode::kNotFound);
  batcher_->Run(batcher_->Take());
  EXPECT_TRUE(answer->Await().ok());
}

TEST_F(PredictorTest, HandsOnPriorityDeadlineAndCancellation) {
  Publish();
  batcher_->Hold();
  PredictionRequest request = Request({Tensor({1, 2, 3, 4}), Tensor({5, 6, 7, 8})});
  request.priority = 2;
  request.deadline = clock_.Now() + absl::Seconds(9);
  request.cancel = std::make_shared<CancelFlag>();
  Start(request);
  const BatchTask task = batcher_->Take();
  EXPECT_EQ(task.rows, 2);
  EXPECT_EQ(JoinPieces(task.input), BytesOf({1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(task.priority, 2);
  EXPECT_EQ(task.deadline, request.deadline);
  EXPECT_EQ(task.cancel, request.cancel);
}

TEST_F(PredictorTest, TheBatchersErrorIsTheAnswer) {
  Publish();
  batcher_->Hold();
  const auto answer = Start(Request({Tensor({1, 2, 3, 4})}));
  std::move(batcher_->Take().done)(WithReason(absl::ResourceExhaustedError("full"), "QUEUE_FULL"));
  EXPECT_EQ(answer->Await().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(answer->Await().status()), "QUEUE_FULL");
}

TEST_F(PredictorTest, AFieldOfTheTaskIsAnOptionOfTheRequest) {
  Publish();
  batcher_->Hold();
  const auto answer = Start(Request({Tensor({1, 2, 3, 4})}));
  std::move(batcher_->Take().done)(WithField(absl::InvalidArgumentError("priority must be"), "priority"));
  EXPECT_EQ(ErrorField(answer->Await().status()), "options.priority");
}

// Moves on by a millisecond whenever it is read.
class TickingClock final : public Clock {
 public:
  absl::Time Now() const override {
    return absl::FromUnixSeconds(1'700'000'000) + absl::Milliseconds(ticks_.fetch_add(1));
  }

 private:
  mutable std::atomic<int> ticks_{0};
};

TEST_F(PredictorTest, SaysWhereTheTimeWent) {
  const TickingClock ticking;
  predictor_clock_ = &ticking;
  Publish({.image = true});
  batcher_->Hold();
  PredictionInput image;
  image.value = PixelView{1, 4, 1, "\1\2\3\4"};
  const auto answer = Start(Request({image}));
  batcher_->Run(batcher_->Take(), absl::Milliseconds(30), absl::Milliseconds(20));
  const auto response = answer->Await();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->queued, absl::Milliseconds(31)) << "1 ms for a decoder and 30 ms for an instance";
  EXPECT_EQ(response->decoding, absl::Milliseconds(1));
  EXPECT_EQ(response->model, absl::Milliseconds(20));
  EXPECT_EQ(response->answering, absl::Milliseconds(1));
  const RequestCounters& counters = *served_->counters;
  EXPECT_EQ(counters.answered().count(), 1);
  EXPECT_EQ(counters.rows(), 1);
  // By the clock that ticks at every look: received, queued, decoding, decoded, answering, answered, counted,
  // responded.
  EXPECT_EQ(counters.receive_time(), absl::Milliseconds(1));
  EXPECT_EQ(counters.queue().total(), absl::Milliseconds(31));
  EXPECT_EQ(counters.preprocess_cost(), absl::Milliseconds(1));
  EXPECT_EQ(counters.model_cost(), absl::Milliseconds(20));
  EXPECT_EQ(counters.calibrate().total(), absl::Milliseconds(1));
  EXPECT_EQ(counters.respond().total(), absl::Milliseconds(1));
  EXPECT_EQ(counters.total().total(), absl::Milliseconds(7));
  predictor_.reset();
}

TEST_F(PredictorTest, ARequestPaysForItsShareOfABatchAndForAllItsImages) {
  Publish({.image = true});
  batcher_->Hold();
  PredictionInput image;
  image.value = PixelView{1, 4, 1, "\1\2\3\4"};
  PredictionRequest request = Request({image, image, image});
  request.received = clock_.Now() - absl::Milliseconds(5);  // its handler was busy with it before
  const auto answer = Start(std::move(request));
  BatchTask task = batcher_->Take();
  clock_.Advance(absl::Milliseconds(2));
  BatchResult result{std::vector<float>(12), absl::Milliseconds(1), absl::Milliseconds(20), /*share=*/0.75};
  std::move(task.done)(std::move(result));
  ASSERT_TRUE(answer->Await().ok());
  const RequestCounters& counters = *served_->counters;
  EXPECT_EQ(counters.model().total(), absl::Milliseconds(20));
  EXPECT_EQ(counters.model_cost(), absl::Milliseconds(15));
  EXPECT_EQ(counters.receive_time(), absl::Milliseconds(5));
  EXPECT_EQ(counters.total().total(), absl::Milliseconds(7));
}

TEST_F(PredictorTest, CountsByCallAndCodeAlsoWhatNoModelServed) {
  Publish();
  PredictionRequest request = Request({Tensor({1, 2, 3, 4})});
  request.rpc = Rpc::kStreamPredict;
  EXPECT_TRUE(Predict(request).ok());
  request.top_k = 99;
  EXPECT_FALSE(Predict(request).ok());
  request.model = "unknown";
  EXPECT_FALSE(Predict(request).ok());
  const OutcomeCounters& served = served_->counters->outcomes();
  EXPECT_EQ(served.count(Rpc::kStreamPredict, absl::StatusCode::kOk), 1);
  EXPECT_EQ(served.count(Rpc::kStreamPredict, absl::StatusCode::kInvalidArgument), 1);
  EXPECT_EQ(served.count(Rpc::kStreamPredict, absl::StatusCode::kNotFound), 0);
  EXPECT_EQ(served.count(Rpc::kPredict, absl::StatusCode::kOk), 0);
  EXPECT_EQ(predictor_->unserved().count(Rpc::kStreamPredict, absl::StatusCode::kNotFound), 1);
}

}  // namespace
}  // namespace calserve
