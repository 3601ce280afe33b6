#include "server/prediction/warm_up_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "server/base/error_info.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Logits are the input; in a batch of more than one row they are `batch_error` off.
class EchoModel final : public Model {
 public:
  EchoModel(int columns, int instances, float batch_error)
      : columns_(columns), batch_error_(batch_error), staging_(instances) {
    options_.instances = instances;
    for (std::vector<float>& staging : staging_) staging.resize(16 * columns);
  }
  absl::Span<float> Staging(int instance, int) override { return absl::MakeSpan(staging_[instance]); }
  absl::Status Start(int, int, int) override { return absl::OkStatus(); }
  absl::Status Finish(int instance, int, int rows, absl::Span<float> logits) override {
    batches.emplace_back(instance, rows);
    std::copy_n(staging_[instance].begin(), rows * columns_, logits.begin());
    if (rows > 1) {
      for (float& logit : logits) logit += batch_error_;
    }
    return error;
  }
  int columns() const override { return columns_; }
  const ModelOptions& options() const override { return options_; }
  const std::string& format() const override { return text_; }
  const std::string& device() const override { return text_; }
  const std::string& digest() const override { return text_; }

  std::vector<std::pair<int, int>> batches;  // instance, rows
  absl::Status error;                        // of each forward pass

 private:
  const int columns_;
  const float batch_error_;
  const std::string text_;
  ModelOptions options_;
  std::vector<std::vector<float>> staging_;
};

class WarmUpCheckTest : public ::testing::Test {
 protected:
  WarmUpCheckTest() { Use(3, 1, 0); }

  void Use(int columns, int instances, float batch_error) {
    model_.input_size = columns;
    model_.labels = {"cat", "dog", "bird"};
    if (columns == 1) model_.labels = {"no", "yes"};
    model_.max_batch_size = 4;
    auto echo = std::make_unique<EchoModel>(columns, instances, batch_error);
    echo_ = echo.get();
    model_.model = std::move(echo);
  }
  static WarmUpSample Sample(std::vector<float> input, std::vector<float> logits,
                             std::vector<std::string> top_classes = {}) {
    return {"input.npy", std::move(input), std::move(logits), std::move(top_classes), 0.01, 0.1};
  }
  std::vector<std::string> Check(const std::vector<WarmUpSample>& samples) {
    const auto disagreements = CheckWarmUpSamples(samples, model_);
    EXPECT_TRUE(disagreements.ok()) << disagreements.status();
    return disagreements.value_or(std::vector<std::string>());
  }

  ServedModel model_;
  EchoModel* echo_ = nullptr;
};

TEST_F(WarmUpCheckTest, LogitsAgreeWithinTheTolerance) {
  EXPECT_THAT(Check({Sample({10, -10, 0}, {10, -10, 0})}), IsEmpty());
  EXPECT_THAT(Check({Sample({11, -11, 0.01f}, {10, -10, 0})}), IsEmpty());
  EXPECT_THAT(
      Check({Sample({11.1f, -10, 0}, {10, -10, 0})}),
      ElementsAre("warm-up sample input.npy: the logit of \"cat\" must be 10 (tolerance 0.01 + 0.1 of it); "
                  "was 11.1"));
  EXPECT_THAT(Check({Sample({10, -10, 5}, {10, -10, 0})}), ElementsAre(HasSubstr("\"bird\" must be 0")))
      << "the one that is furthest off";
  EXPECT_THAT(Check({Sample({1, 2, 3}, {1, 2})}), ElementsAre(HasSubstr("2 logits in expected.json")));
}

TEST_F(WarmUpCheckTest, TopClassesAreThoseWithTheLargestLogits) {
  EXPECT_THAT(Check({Sample({1, 3, 2}, {}, {"dog", "bird"})}), IsEmpty());
  EXPECT_THAT(Check({Sample({1, 3, 2}, {}, {"bird"})}),
              ElementsAre("warm-up sample input.npy: the top classes must be bird; were dog"));
  EXPECT_THAT(Check({Sample({2, 2, 2}, {}, {"cat", "dog"})}), IsEmpty()) << "of equal ones the lower index";
}

TEST_F(WarmUpCheckTest, OneLogitIsThatOfTheSecondClass) {
  Use(1, 1, 0);
  EXPECT_THAT(Check({Sample({0.5f}, {0.5f}, {"yes"})}), IsEmpty());
  EXPECT_THAT(Check({Sample({-0.5f}, {}, {"yes"})}), ElementsAre(HasSubstr("must be yes; were no")));
}

TEST_F(WarmUpCheckTest, SamplesRunAloneAndInBatchesOnTheInstancesInTurn) {
  Use(3, 2, 0);
  const std::vector<WarmUpSample> samples(5, Sample({1, 2, 3}, {1, 2, 3}));
  EXPECT_THAT(Check(samples), IsEmpty());
  using Batch = std::pair<int, int>;
  EXPECT_THAT(echo_->batches, ElementsAre(Batch(0, 1), Batch(1, 1), Batch(0, 1), Batch(1, 1), Batch(0, 1),
                                          Batch(1, 4), Batch(0, 1)));
}

TEST_F(WarmUpCheckTest, AModelThatIsWrongInABatchOnlyIsSeen) {
  Use(3, 1, /*batch_error=*/1);
  const std::vector<std::string> said = Check({Sample({1, 2, 3}, {1, 2, 3}), Sample({3, 2, 1}, {3, 2, 1})});
  ASSERT_THAT(said, SizeIs(2));
  EXPECT_THAT(said[0], HasSubstr(", in a batch"));
}

TEST_F(WarmUpCheckTest, AnInputThatCannotBeUsedIsNamed) {
  EXPECT_THAT(Check({Sample({1, 2}, {1, 2, 3})}), ElementsAre(HasSubstr("has 2 values; an input has 3")));
  WarmUpSample photo = Sample({}, {}, {"cat"});
  photo.input = std::string("a jpeg");
  EXPECT_THAT(Check({photo}), ElementsAre(HasSubstr("the model takes tensors")));
  ImageInputSpec spec;
  spec.height = 1;
  spec.width = 1;
  spec.color = Color::kRgb;
  model_.preprocessor = *Preprocessor::Create(spec, {});
  EXPECT_THAT(Check({photo}), ElementsAre(AllOf(HasSubstr("input.npy"), HasSubstr("JPEG"))));
}

TEST_F(WarmUpCheckTest, ALostDeviceIsNoDisagreement) {
  echo_->error = WithReason(absl::UnavailableError("it does not answer"), kDeviceLost);
  const absl::Status status = CheckWarmUpSamples({Sample({1, 2, 3}, {1, 2, 3})}, model_).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(ErrorReason(status), kDeviceLost);
}

TEST_F(WarmUpCheckTest, AForwardPassThatFailsIsSaid) {
  echo_->error = absl::InternalError("the forward pass failed");
  EXPECT_THAT(Check({Sample({1, 2, 3}, {1, 2, 3})}), ElementsAre(HasSubstr("the forward pass failed")));
}

TEST_F(WarmUpCheckTest, AStatusHasTheFirstSentences) {
  EXPECT_TRUE(WarmUpStatus({}).ok());
  const absl::Status status = WarmUpStatus({"a", "b", "c", "d", "e"});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "a; b; c; and 2 more");
}

}  // namespace
}  // namespace calserve
