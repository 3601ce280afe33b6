// Images on their way to the model: the decode pool, its bounds, and requests that nobody waits for any more.
#include <thread>

#include "tests/unit/imaging/png_builder.h"
#include "tests/unit/prediction/predictor_fixture.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The model takes 1×4 grey pixels as they are; one decode thread.
class PredictorDecodeTest : public PredictorFixture {
 protected:
  PredictorDecodeTest() {
    decoding_.max_queued_images = 3;
    Publish({.image = true});
  }
  ~PredictorDecodeTest() override { FreeTheDecoder(); }

  PredictionInput Image(absl::string_view pixels) {
    const std::string row = std::string(1, '\0') + std::string(pixels);  // PNG's filter type comes first.
    PredictionInput input;
    input.value = EncodedImage{kept_.emplace_back(PngSignature() + PngHeader(4, 1, 8, 0) +
                                                  PngChunk("IDAT", Deflated(row, 6)) + PngChunk("IEND", ""))};
    return input;
  }
  static PredictionInput Pixels(absl::string_view pixels) {
    PredictionInput input;
    input.value = PixelView{1, 4, 1, pixels};
    return input;
  }
  static PredictionInput NoImage() {
    PredictionInput input;
    input.value = EncodedImage{"no image"};
    return input;
  }

  // Keeps the decode thread, by a request whose callback runs there, until FreeTheDecoder.
  void OccupyTheDecoder() {
    predictor_->Predict(Request({NoImage()}), [this](const absl::StatusOr<PredictionResponse>&) {
      MutexLock lock(&mu_);
      const int mine = ++occupations_;
      changed_.SignalAll();
      while (freed_ < mine) changed_.Wait(&mu_);
    });
    MutexLock lock(&mu_);
    while (occupations_ == freed_) changed_.Wait(&mu_);
  }
  void FreeTheDecoder() {
    MutexLock lock(&mu_);
    freed_ = occupations_;
    changed_.SignalAll();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  int occupations_ ABSL_GUARDED_BY(mu_) = 0;
  int freed_ ABSL_GUARDED_BY(mu_) = 0;  // of them
};

TEST_F(PredictorDecodeTest, ImagesPixelsAndTensorsOfOneRequestAreAnsweredInTheirOrder) {
  PredictionInput in_pieces = Tensor({17, 18, 19, 20});
  BytePieces& pieces = std::get<TensorInput>(in_pieces.value).data;
  pieces = {pieces[0].substr(0, 7), pieces[0].substr(7)};
  const auto response = Predict(Request(
      {Tensor({1, 2, 3, 4}), Image("\5\6\7\10"), Pixels("\11\12\13\14"), Image("\15\16\17\20"), in_pieces}));
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->predictions.size(), 5);
  EXPECT_THAT(response->predictions[0].logits, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(response->predictions[1].logits, ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(response->predictions[2].logits, ElementsAre(9, 10, 11, 12));
  EXPECT_THAT(response->predictions[3].logits, ElementsAre(13, 14, 15, 16));
  EXPECT_THAT(response->predictions[4].logits, ElementsAre(17, 18, 19, 20));
}

TEST_F(PredictorDecodeTest, TheErrorIsThatOfTheFirstInputThatFailed) {
  const absl::Status status = Predict(Request({Image("\1\2\3\4"), NoImage(), NoImage()})).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorField(status), "inputs[1]");
  EXPECT_THAT(std::string(status.message()), HasSubstr("inputs[1]: "));
  EXPECT_THAT(model_->rows_run(), IsEmpty());
}

TEST_F(PredictorDecodeTest, AFullQueueRefusesAtOnceAndKeepsNothingOfTheRequest) {
  OccupyTheDecoder();
  const auto waiting = Start(Request({Pixels("\1\2\3\4")}));
  const long users = served_.use_count();

  PredictionRequest request = Request({Pixels("\5\6\7\10"), Pixels("\5\6\7\10"), Pixels("\5\6\7\10")});
  auto cancel = std::make_shared<CancelFlag>();
  const std::weak_ptr<CancelFlag> kept = cancel;
  request.cancel = std::move(cancel);
  const auto refused = Start(std::move(request));
  ASSERT_TRUE(refused->given()) << "while the decoder is busy";
  const absl::Status status = refused->Await().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), "DECODE_QUEUE_FULL");
  EXPECT_TRUE(kept.expired());
  EXPECT_EQ(served_.use_count(), users);

  // None of the refused three took a place.
  const auto fits = Start(Request({Pixels("\5\6\7\10"), Pixels("\5\6\7\10")}));
  FreeTheDecoder();
  EXPECT_TRUE(waiting->Await().ok());
  EXPECT_TRUE(fits->Await().ok());
  EXPECT_THAT(model_->rows_run(), ElementsAre(1, 5, 5));
}

TEST_F(PredictorDecodeTest, TheQueueIsBoundedInBytesOfWhatCameAndOfTheModelsInput) {
  decoding_.max_queued_bytes = 2 * (4 + 4 * sizeof(float));
  Publish({.image = true});
  EXPECT_TRUE(Predict(Request({Pixels("\1\2\3\4"), Pixels("\1\2\3\4")})).ok());
  EXPECT_EQ(Predict(Request({Pixels("\1\2\3\4"), Pixels("\1\2\3\4"), Pixels("\1\2\3\4")})).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Predict(Request({Tensor({1, 2, 3, 4})})).ok()) << "a tensor needs no decoder";
}

TEST_F(PredictorDecodeTest, ARequestThatExpiresBeforeItIsDecodedNeverReachesTheModel) {
  OccupyTheDecoder();
  PredictionRequest request = Request({Tensor({9, 9, 9, 9}), Pixels("\1\2\3\4")});
  request.deadline = clock_.Now() + absl::Milliseconds(5);
  const auto late = Start(request);
  request.deadline = clock_.Now() + absl::Milliseconds(6);
  const auto prompt = Start(request);
  EXPECT_EQ(predictor_->queued_images(), 2);
  clock_.Advance(absl::Milliseconds(6));
  EXPECT_EQ(late->Await().status().code(), absl::StatusCode::kDeadlineExceeded)
      << "while the decoder is busy";
  EXPECT_EQ(predictor_->queued_images(), 1);
  EXPECT_FALSE(prompt->given());
  FreeTheDecoder();
  EXPECT_TRUE(prompt->Await().ok()) << "just in time";
  EXPECT_THAT(model_->rows_run(), ElementsAre(9, 1));
  EXPECT_EQ(served_->counters->failed(absl::StatusCode::kDeadlineExceeded).count(), 1);
}

TEST_F(PredictorDecodeTest, ARequestThatIsCancelledBeforeItIsDecodedNeverReachesTheModel) {
  OccupyTheDecoder();
  const auto cancel = std::make_shared<CancelFlag>();
  PredictionRequest request = Request({NoImage(), Pixels("\1\2\3\4")});
  request.cancel = cancel;
  const auto cancelled = Start(std::move(request));
  const auto other = Start(Request({Pixels("\5\6\7\10")}));
  EXPECT_EQ(predictor_->queued_images(), 3);
  cancel->Cancel();
  EXPECT_EQ(cancelled->Await().status().code(), absl::StatusCode::kCancelled) << "not even looked at";
  EXPECT_EQ(predictor_->queued_images(), 1);
  FreeTheDecoder();
  EXPECT_TRUE(other->Await().ok());
  EXPECT_THAT(model_->rows_run(), ElementsAre(5));
}

TEST_F(PredictorDecodeTest, WhatExpiresMakesRoomWhileTheDecoderIsBusy) {
  OccupyTheDecoder();
  PredictionRequest request = Request({Pixels("\1\2\3\4"), Pixels("\1\2\3\4"), Pixels("\1\2\3\4")});
  request.deadline = clock_.Now() + absl::Milliseconds(5);
  const auto late = Start(std::move(request));
  EXPECT_EQ(ErrorReason(Predict(Request({Pixels("\5\6\7\10")})).status()), "DECODE_QUEUE_FULL");
  clock_.Advance(absl::Milliseconds(6));
  EXPECT_EQ(late->Await().status().code(), absl::StatusCode::kDeadlineExceeded);
  const auto fits = Start(Request({Pixels("\5\6\7\10"), Pixels("\5\6\7\10"), Pixels("\5\6\7\10")}));
  EXPECT_FALSE(fits->given());
  FreeTheDecoder();
  EXPECT_TRUE(fits->Await().ok());
}

TEST_F(PredictorDecodeTest, TheQueueTimeoutCountsTheWaitForADecoder) {
  batcher_->SetQueueTimeout(absl::Milliseconds(5));
  OccupyTheDecoder();
  const auto late = Start(Request({Pixels("\1\2\3\4")}));
  clock_.Advance(absl::Milliseconds(4));
  const auto prompt = Start(Request({Pixels("\5\6\7\10")}));
  clock_.Advance(absl::Milliseconds(2));
  const absl::Status status = late->Await().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << "while the decoder is busy";
  EXPECT_EQ(ErrorReason(status), "QUEUE_TIMEOUT");
  EXPECT_THAT(status.message(), HasSubstr("queued for 6ms"));
  FreeTheDecoder();
  EXPECT_TRUE(prompt->Await().ok());
  EXPECT_THAT(model_->rows_run(), ElementsAre(5));
}

TEST_F(PredictorDecodeTest, TheBatcherIsToldHowLongTheRequestHasWaited) {
  batcher_->Hold();
  PredictionRequest request = Request({Tensor({1, 2, 3, 4})});
  request.received = clock_.Now() - absl::Milliseconds(3);
  const auto tensor = Start(std::move(request));
  BatchTask first = batcher_->Take();
  EXPECT_EQ(first.waited, absl::Milliseconds(3));
  OccupyTheDecoder();
  const auto image = Start(Request({Pixels("\1\2\3\4")}));
  clock_.Advance(absl::Milliseconds(7));
  FreeTheDecoder();
  BatchTask second = batcher_->Take();
  EXPECT_EQ(second.waited, absl::Milliseconds(7));
  batcher_->Run(std::move(first));
  batcher_->Run(std::move(second));
}

TEST_F(PredictorDecodeTest, WhatTheBatcherCouldNotDoInTimeIsNotDecoded) {
  OccupyTheDecoder();
  batcher_->Refuse(WithReason(absl::ResourceExhaustedError("too late"), "DEADLINE_UNREACHABLE"));
  const auto hopeless = Start(Request({Pixels("\1\2\3\4")}));
  ASSERT_TRUE(hopeless->given()) << "at once";
  EXPECT_EQ(ErrorReason(hopeless->Await().status()), "DEADLINE_UNREACHABLE");
  EXPECT_EQ(predictor_->queued_images(), 0);
}

TEST_F(PredictorDecodeTest, TheBatcherIsAskedForTheTimeAfterDecoding) {
  OccupyTheDecoder();
  EXPECT_EQ(batcher_->arrival().at_least, absl::ZeroDuration()) << "nothing is measured";
  stopwatch_.Advance(absl::Milliseconds(50));
  FreeTheDecoder();
  OccupyTheDecoder();  // An image keeps the decoder for 50 ms.
  const auto first = Start(Request({Pixels("\1\2\3\4")}));
  EXPECT_EQ(batcher_->arrival().at_least, absl::Milliseconds(50));
  EXPECT_EQ(batcher_->arrival().at_most, absl::Milliseconds(100)) << "when it is decoded";
  const auto second = Start(Request({Pixels("\1\2\3\4"), Pixels("\1\2\3\4")}));
  EXPECT_EQ(batcher_->arrival().at_least, absl::Milliseconds(150));
  FreeTheDecoder();
  EXPECT_TRUE(first->Await().ok() && second->Await().ok());
}

// Two levels; a request that names none is of the second. An image keeps the decoder for 50 ms.
class PredictorDecodePriorityTest : public PredictorDecodeTest {
 protected:
  PredictorDecodePriorityTest() {
    decoding_.max_queued_images = 4;
    Publish({.image = true});
    batcher_->SetPriorities(2, 2);
    OccupyTheDecoder();
    stopwatch_.Advance(absl::Milliseconds(50));
    FreeTheDecoder();
    OccupyTheDecoder();
  }

  std::shared_ptr<PredictionAnswer> Urgent(absl::string_view pixels) {
    PredictionRequest request = Request({Pixels(pixels)});
    request.priority = 1;
    return Start(std::move(request));
  }
  std::shared_ptr<PredictionAnswer> Other(absl::string_view pixels) {
    return Start(Request({Pixels(pixels)}));
  }
  void ExpectAllAnswered(const std::vector<std::shared_ptr<PredictionAnswer>>& answers) {
    FreeTheDecoder();
    for (const auto& answer : answers) EXPECT_TRUE(answer->Await().ok()) << answer->Await().status();
  }
};

TEST_F(PredictorDecodePriorityTest, WhatIsUrgentWaitsForNoMoreOthersThanUrgentOnes) {
  ExpectAllAnswered({Other("\1..."), Other("\2..."), Other("\3..."), Urgent("\4...")});
  EXPECT_THAT(model_->rows_run(), ElementsAre(4, 1, 2, 3));
}

TEST_F(PredictorDecodePriorityTest, AFloodOfUrgentOnesLetsOthersThrough) {
  ExpectAllAnswered({Urgent("\1..."), Urgent("\2..."), Other("\4..."), Urgent("\3...")});
  EXPECT_THAT(model_->rows_run(), ElementsAre(1, 4, 2, 3));
}

TEST_F(PredictorDecodePriorityTest, AQuarterOfTheQueueIsKeptForTheMostUrgent) {
  const auto first = Other("\1..."), second = Other("\2..."), third = Other("\3...");
  const auto refused = Other("\4...");
  ASSERT_TRUE(refused->given());
  EXPECT_EQ(ErrorReason(refused->Await().status()), "DECODE_QUEUE_FULL");
  EXPECT_THAT(refused->Await().status().message(), HasSubstr("full for priority 2 (a quarter is kept"));
  ExpectAllAnswered({first, second, third, Urgent("\5...")});
}

TEST_F(PredictorDecodePriorityTest, TheBatcherIsAskedForTheTimeOfItsOwnLevel) {
  const auto first = Other("\1..."), second = Other("\2..."), third = Other("\3...");
  EXPECT_EQ(batcher_->arrival().at_least, absl::Milliseconds(150));
  const auto urgent = Urgent("\4...");
  EXPECT_EQ(batcher_->arrival().at_least, absl::Milliseconds(100)) << "it may be the other level's turn";
  ExpectAllAnswered({first, second, third, urgent});
}

TEST_F(PredictorDecodeTest, AnIdleDecoderIsNoReasonToRefuse) {
  OccupyTheDecoder();
  stopwatch_.Advance(absl::Seconds(50));
  FreeTheDecoder();
  // It is idle a moment after its answer.
  const absl::Time end = absl::Now() + absl::Seconds(20);
  do {
    EXPECT_TRUE(Predict(Request({Pixels("\1\2\3\4")})).ok());
  } while ((batcher_->arrival().at_least > absl::ZeroDuration() ||
            batcher_->arrival().at_most == absl::ZeroDuration()) &&
           absl::Now() < end);
  EXPECT_EQ(batcher_->arrival().at_least, absl::ZeroDuration());
  EXPECT_GT(batcher_->arrival().at_most, absl::ZeroDuration())
      << "what is queued for the model goes on meanwhile";
}

TEST_F(PredictorDecodeTest, TheWaitForADecoderIsTimeInTheQueue) {
  OccupyTheDecoder();
  const auto answer = Start(Request({Pixels("\1\2\3\4"), Pixels("\1\2\3\4")}));
  clock_.Advance(absl::Milliseconds(7));
  FreeTheDecoder();
  EXPECT_EQ(answer->Await()->queued, absl::Milliseconds(7));
}

TEST_F(PredictorDecodeTest, AnswersOfManyThreadsAreEachTheirOwn) {
  decoding_ = {.threads = 4};
  Publish({.image = true});
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([this, caller] {
      std::string pixels(4, static_cast<char>(caller));
      for (int i = 0; i < 50; ++i) {
        pixels[3] = static_cast<char>(i);
        const auto response = Predict(Request({Pixels(pixels), Pixels(pixels)}));
        ASSERT_TRUE(response.ok()) << response.status();
        for (const Prediction& prediction : response->predictions) {
          ASSERT_THAT(prediction.logits, ElementsAre(caller, caller, caller, i));
        }
      }
    });
  }
}

}  // namespace
}  // namespace calserve
