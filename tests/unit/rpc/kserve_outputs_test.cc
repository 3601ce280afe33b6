#include "server/rpc/kserve_outputs.h"

#include <cstring>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/rpc/kserve_fixtures.h"

namespace calserve::kserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class KserveOutputsTest : public ::testing::Test {
 protected:
  inference::ModelInferRequest::InferRequestedOutputTensor& Output(const std::string& name) {
    auto& output = *request_.add_outputs();
    output.set_name(name);
    return output;
  }
  absl::StatusOr<std::vector<RequestedOutput>> Read(int64_t top_k = 0) {
    return ReadOutputs(request_, *model_, top_k);
  }
  // Two rows with the same values.
  PredictionResponse Answer() const {
    PredictionResponse answer;
    answer.snapshot.model = model_;
    answer.snapshot.calibrator =
        std::make_shared<ServedCalibrator>(ServedCalibrator{Calibrator::None(3), 5, ""});
    answer.queued = absl::Microseconds(11);
    answer.decoding = absl::Microseconds(22);
    answer.model = absl::Microseconds(33);
    for (const char* id : {"one", "two"}) {
      Prediction& prediction = answer.predictions.emplace_back();
      prediction.id = id;
      prediction.ticket = std::string("\0sealed", 7);
      prediction.probabilities = {0.25f, 0.5f, 0.25f};
      prediction.logits = {-1, 2, -1};
      prediction.top_classes = {{1, 0.5f}, {0, 0.25f}};
    }
    return answer;
  }
  inference::ModelInferResponse Written(int64_t top_k = 0) {
    inference::ModelInferResponse response;
    WriteResponse(Answer(), *Read(top_k), response);
    return response;
  }
  static std::vector<float> Floats(const std::string& raw) {
    std::vector<float> values(raw.size() / sizeof(float));
    std::memcpy(values.data(), raw.data(), raw.size());
    return values;
  }
  static std::vector<std::string> Elements(const std::string& raw) {
    std::vector<std::string> elements;
    for (size_t at = 0; at < raw.size();) {
      uint32_t length = 0;
      std::memcpy(&length, raw.data() + at, sizeof(length));
      elements.push_back(raw.substr(at + sizeof(length), length));
      at += sizeof(length) + length;
    }
    return elements;
  }

  std::shared_ptr<ServedModel> model_ = TensorModel();
  inference::ModelInferRequest request_;
};

TEST_F(KserveOutputsTest, WithoutNamesAllOutputsComeEachWithItsRawEntry) {
  const inference::ModelInferResponse response = Written();
  ASSERT_EQ(response.outputs_size(), 4);
  ASSERT_EQ(response.raw_output_contents_size(), 4);
  EXPECT_EQ(response.model_name(), "m");
  EXPECT_EQ(response.model_version(), "3");
  EXPECT_EQ(response.outputs(0).name(), "probabilities");
  EXPECT_EQ(response.outputs(0).datatype(), "FP32");
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(2, 3));
  EXPECT_THAT(Floats(response.raw_output_contents(0)), ElementsAre(0.25f, 0.5f, 0.25f, 0.25f, 0.5f, 0.25f));
  EXPECT_THAT(response.outputs(1).shape(), ElementsAre(2, 3));
  EXPECT_THAT(Floats(response.raw_output_contents(1)), ElementsAre(-1, 2, -1, -1, 2, -1));
  EXPECT_EQ(response.outputs(2).datatype(), "BYTES");
  EXPECT_THAT(response.outputs(2).shape(), ElementsAre(2, 1));
  const std::string ticket = "AHNlYWxlZA==";  // base64, by coreutils
  EXPECT_THAT(Elements(response.raw_output_contents(2)), ElementsAre(ticket, ticket));
  EXPECT_THAT(Elements(response.raw_output_contents(3)), ElementsAre("one", "two"));
}

TEST_F(KserveOutputsTest, TheResponseNamesTheCalibratorAndTheTimes) {
  const inference::ModelInferResponse response = Written();
  EXPECT_EQ(response.parameters().at("calibrator_version").int64_param(), 5);
  EXPECT_EQ(response.parameters().at("calibrator_method").string_param(), "none");
  EXPECT_EQ(response.parameters().at("queue_us").int64_param(), 11);
  EXPECT_EQ(response.parameters().at("preprocess_us").int64_param(), 22);
  EXPECT_EQ(response.parameters().at("compute_us").int64_param(), 33);
}

TEST_F(KserveOutputsTest, ASingleLogitIsWrittenAsTwo) {
  PredictionResponse answer = Answer();
  for (Prediction& prediction : answer.predictions) prediction.logits = {7};
  Output("logits");
  inference::ModelInferResponse response;
  WriteResponse(answer, *Read(), response);
  EXPECT_THAT(Floats(response.raw_output_contents(0)), ElementsAre(0, 7, 0, 7));
}

TEST_F(KserveOutputsTest, ClassificationIsTextOfTheMostProbableClasses) {
  (*Output("probabilities").mutable_parameters())["classification"].set_int64_param(2);
  const inference::ModelInferResponse response = Written();
  EXPECT_EQ(response.outputs(0).datatype(), "BYTES");
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(2, 2));
  EXPECT_THAT(Elements(response.raw_output_contents(0)),
              ElementsAre("0.500000:1:dog", "0.250000:0:cat", "0.500000:1:dog", "0.250000:0:cat"));
}

TEST_F(KserveOutputsTest, AnOutputsOwnClassificationBeatsTopKAndNeitherExceedsTheClasses) {
  EXPECT_EQ(Read(2)->front().top_k, 2);
  EXPECT_EQ(Read(int64_t{1} << 40)->front().top_k, 3);
  EXPECT_EQ(Read(2)->at(1).top_k, 0) << "of logits";
  (*Output("probabilities").mutable_parameters())["classification"].set_uint64_param(1);
  EXPECT_EQ(Read(2)->front().top_k, 1);
}

TEST_F(KserveOutputsTest, ThePredictorIsAskedForNoMoreThanTheOutputsNeed) {
  const auto asked = [&](int64_t top_k = 0) {
    PredictionRequest request;
    Ask(*Read(top_k), request);
    return request;
  };
  EXPECT_TRUE(asked().return_probabilities && asked().return_logits);
  EXPECT_EQ(asked().top_k, 1);
  EXPECT_FALSE(asked(2).return_probabilities);
  EXPECT_EQ(asked(2).top_k, 2);
  Output("ticket");
  EXPECT_FALSE(asked(2).return_probabilities || asked().return_logits);
}

TEST_F(KserveOutputsTest, WhatThereIsNotIsRefusedByName) {
  Output("label");
  EXPECT_TRUE(absl::IsInvalidArgument(Read().status()));
  EXPECT_THAT(std::string(Read().status().message()), HasSubstr("'label' for model 'm'; its outputs are "));
  request_.Clear();
  (*Output("ticket").mutable_parameters())["classification"].set_int64_param(1);
  EXPECT_TRUE(absl::IsInvalidArgument(Read().status())) << Read().status();
  request_.Clear();
  (*Output("logits").mutable_parameters())["shared_memory_region"].set_string_param("r");
  EXPECT_TRUE(absl::IsUnimplemented(Read().status())) << Read().status();
}

}  // namespace
}  // namespace calserve::kserve
