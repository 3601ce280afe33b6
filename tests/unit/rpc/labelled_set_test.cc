#include "server/rpc/labelled_set.h"

#include <limits>

#include "tests/unit/prediction/predictor_fixture.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class LabelledSetTest : public PredictorFixture {
 protected:
  void Open() { Open(Served()); }
  void Open(const Served& served) {
    Publish(served);
    set_ = std::make_unique<LabelledSet>(*predictor_, *table_.Find("puppet", 0), limits_, memory_);
  }

  static v1::LabelledExample OfLogits(const std::vector<float>& values, int label) {
    v1::LabelledExample example;
    example.mutable_logits()->mutable_values()->Add(values.begin(), values.end());
    example.set_class_index(label);
    return example;
  }
  // A tensor, which the model makes logits of: the same values.
  static v1::LabelledExample OfInput(const std::vector<float>& values, int label) {
    v1::LabelledExample example;
    v1::Tensor& tensor = *example.mutable_input()->mutable_tensor();
    tensor.add_shape(static_cast<int64_t>(values.size()));
    tensor.set_data(values.data(), values.size() * sizeof(float));
    example.set_class_index(label);
    return example;
  }
  absl::Status Add(const std::vector<v1::LabelledExample>& examples,
                   std::shared_ptr<const CancelFlag> cancel = nullptr) {
    v1::LabelledExamples message;
    message.mutable_examples()->Add(examples.begin(), examples.end());
    std::optional<absl::Status> status;
    set_->Add(std::move(message), std::move(cancel), [&status](absl::Status result) {
      EXPECT_FALSE(status.has_value()) << "told twice";
      status = std::move(result);
    });
    EXPECT_TRUE(status.has_value()) << "not told";
    return status.value_or(absl::InternalError("not told"));
  }
  void ExpectRefused(const absl::Status& status, const std::string& sentence) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ErrorField(status), "examples");
    EXPECT_EQ(status.message(), sentence);
  }

  RecalibrationOptions limits_;
  ByteBudget memory_{1 << 20};
  std::unique_ptr<LabelledSet> set_;
};

TEST_F(LabelledSetTest, LogitsAndInputsAreGatheredInTheirOrder) {
  Open({.classes = 2, .columns = 2});
  EXPECT_TRUE(Add({OfLogits({1, 2}, 0), OfInput({3, 4}, 1), OfInput({5, 6}, 0), OfLogits({7, 8}, 1)}).ok());
  EXPECT_TRUE(Add({OfInput({9, 10}, 1)}).ok());
  EXPECT_TRUE(Add({}).ok());
  EXPECT_EQ(set_->rows(), 5);
  const LabelledLogits data = std::move(*set_).Take().logits;
  EXPECT_EQ(data.columns, 2);
  EXPECT_THAT(data.logits, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
  EXPECT_THAT(data.labels, ElementsAre(0, 1, 0, 1, 1));
}

TEST_F(LabelledSetTest, ARunOfInputsLongerThanABatchGoesThroughTheModelInSeveral) {
  Open({.classes = 2, .columns = 2, .max_batch_size = 3});
  std::vector<v1::LabelledExample> examples;
  std::vector<float> expected;
  for (int i = 0; i < 8; ++i) {
    const float x = static_cast<float>(i);
    examples.push_back(OfInput({x, -x}, i % 2));
    expected.insert(expected.end(), {x, -x});
  }
  EXPECT_TRUE(Add(examples).ok());
  EXPECT_EQ(std::move(*set_).Take().logits.logits, expected);
  EXPECT_EQ(model_->rows_run().size(), 8);
}

TEST_F(LabelledSetTest, ASingleLogitModelGivesOneColumn) {
  Open({.classes = 2, .columns = 1});
  EXPECT_TRUE(Add({OfInput({1.5f}, 1), OfLogits({-2}, 0)}).ok());
  const LabelledLogits data = std::move(*set_).Take().logits;
  EXPECT_EQ(data.columns, 1);
  EXPECT_THAT(data.logits, ElementsAre(1.5f, -2));
}

TEST_F(LabelledSetTest, AnExampleIsNamedByItsPlaceInTheWholeSet) {
  Open();
  const v1::LabelledExample good = OfLogits({0, 0, 0, 0}, 0);
  EXPECT_TRUE(Add({good, good}).ok());
  ExpectRefused(Add({good, OfLogits({0, 0, 0, 0}, 4)}),
                "example 3 of the set: class_index must be 0 to 3; was 4");
}

TEST_F(LabelledSetTest, ABadExampleIsToldItsRule) {
  Open();
  ExpectRefused(Add({OfInput({0, 0, 0, 0}, -1)}), "example 0 of the set: class_index must be 0 to 3; was -1");
  ExpectRefused(Add({OfLogits({0, 0, 0}, 0)}), "example 0 of the set: logits must have 4 values; has 3");
  ExpectRefused(Add({OfLogits({0, 0, std::numeric_limits<float>::infinity(), 0}, 0)}),
                "example 0 of the set: logit 2 must be finite; was inf");
  ExpectRefused(Add({v1::LabelledExample()}), "example 0 of the set: an example needs input or logits");
  EXPECT_EQ(set_->rows(), 0);
}

TEST_F(LabelledSetTest, ABadInputIsNamedWithinThoseThatWentWithIt) {
  Open();
  const absl::Status status =
      Add({OfLogits({0, 0, 0, 0}, 0), OfInput({1, 2, 3, 4}, 1), OfInput({1, 2, 3}, 1)});
  EXPECT_EQ(ErrorField(status), "examples");
  EXPECT_THAT(std::string(status.message()), StartsWith("example 1 of the set: inputs[1]: shape must be"));
  EXPECT_THAT(model_->rows_run(), IsEmpty());
}

TEST_F(LabelledSetTest, AnExampleWithABadLabelIsRefusedAlsoBehindInputs) {
  Open();
  ExpectRefused(Add({OfInput({1, 2, 3, 4}, 0), OfInput({1, 2, 3, 4}, 4), OfInput({1, 2, 3, 4}, 0)}),
                "example 1 of the set: class_index must be 0 to 3; was 4");
  ExpectRefused(Add({OfInput({1, 2, 3, 4}, 0), OfInput({1, 2, 3, 4}, -1)}),
                "example 2 of the set: class_index must be 0 to 3; was -1");
}

TEST_F(LabelledSetTest, ASetIsBoundedInRowsAndInBytes) {
  limits_.fit_max_rows = 3;
  Open();
  const v1::LabelledExample good = OfLogits({0, 0, 0, 0}, 0);
  EXPECT_TRUE(Add({good, good}).ok());
  const absl::Status status = Add({good, good});
  EXPECT_EQ(ErrorReason(status), "LABELLED_SET_TOO_LARGE");
  EXPECT_THAT(std::string(status.message()), HasSubstr("at most 3 examples of this model"));
  EXPECT_EQ(set_->rows(), 2) << "nothing of the message was taken";
  EXPECT_TRUE(Add({good}).ok());

  limits_.fit_max_rows = 1000;
  limits_.fit_max_bytes = 2 * 4 * sizeof(float);
  Open();
  EXPECT_TRUE(Add({good, good}).ok());
  EXPECT_EQ(ErrorReason(Add({good})), "LABELLED_SET_TOO_LARGE");
}

TEST_F(LabelledSetTest, SetsAreBoundedTogetherUntilTheirLogitsAreGone) {
  memory_.SetLimit(5 * 4 * sizeof(float));
  Open();
  ASSERT_TRUE(Add(std::vector(4, OfLogits({1, 2, 3, 4}, 0))).ok());
  LabelledSet::Taken taken = std::move(*set_).Take();
  Open();
  const absl::Status full = Add(std::vector(2, OfLogits({1, 2, 3, 4}, 0)));
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(full), "LABELLED_SETS_FULL");
  EXPECT_EQ(ErrorRetryAfter(full), absl::Seconds(30));
  EXPECT_THAT(std::string(full.message()), HasSubstr("take 64 of at most 80 bytes"));
  EXPECT_TRUE(Add({OfLogits({1, 2, 3, 4}, 0)}).ok());
  taken.memory = {};
  EXPECT_TRUE(Add(std::vector(4, OfLogits({1, 2, 3, 4}, 0))).ok());
}

TEST_F(LabelledSetTest, TheBatchersErrorEndsTheSet) {
  Open();
  batcher_->Hold();
  v1::LabelledExamples examples;
  *examples.add_examples() = OfInput({1, 2, 3, 4}, 0);
  const auto cancel = std::make_shared<CancelFlag>();
  std::optional<absl::Status> status;
  set_->Add(std::move(examples), cancel, [&status](absl::Status result) { status = std::move(result); });
  EXPECT_FALSE(status.has_value()) << "the batch has not run";
  BatchTask task = batcher_->Take();
  EXPECT_EQ(task.cancel, cancel);
  std::move(task.done)(absl::CancelledError("cancelled by the client"));
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(set_->rows(), 0);
}

}  // namespace
}  // namespace calserve
