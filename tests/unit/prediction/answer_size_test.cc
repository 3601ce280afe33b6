#include "server/prediction/answer_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "server/base/error_info.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

class AnswerSizeTest : public ::testing::Test {
 protected:
  AnswerSizeTest() {
    model_.labels.assign(10'000, "");
    model_.label_bytes = 10'000 * 76;  // 100 a named class
    request_.inputs.resize(64);
  }
  absl::Status Check() const { return CheckAnswerSize(request_, model_); }

  ServedModel model_;
  PredictionRequest request_;
};

TEST_F(AnswerSizeTest, NamesAndNumbersAreCountedByTheRow) {
  request_.top_k = 10'000;  // a million bytes a row
  EXPECT_TRUE(Check().ok()) << "61 MiB";
  request_.inputs.resize(68);
  const absl::Status status = Check();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_EQ(ErrorReason(status), "ANSWER_TOO_LARGE");
  EXPECT_THAT(std::string(status.message()), HasSubstr("some 64 MiB (68 inputs, 10000 named classes"));
  request_.inputs.resize(63);
  request_.return_logits = true;
  EXPECT_TRUE(Check().ok()) << "62 MiB";
  request_.return_probabilities = true;
  EXPECT_THAT(std::string(Check().message()), HasSubstr("20000 numbers each"));
}

TEST_F(AnswerSizeTest, ASetHasItsClassesNamedToo) {
  request_.inputs.resize(600);
  request_.top_k = 1000;
  EXPECT_TRUE(Check().ok()) << "57 MiB";
  request_.prediction_set.emplace();
  EXPECT_EQ(ErrorReason(Check()), "ANSWER_TOO_LARGE");
}

}  // namespace
}  // namespace calserve
