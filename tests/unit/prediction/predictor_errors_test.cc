// A request that breaks a rule is told which, and in which field; the model is not asked.
#include <functional>
#include <limits>

#include "tests/unit/prediction/predictor_fixture.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Fault {
  std::string name;
  std::function<void(PredictionRequest&)> make;
  std::string field;
  std::string rule;  // part of the sentence
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
};

TensorInput& SecondTensor(PredictionRequest& request) {
  return std::get<TensorInput>(request.inputs[1].value);
}

std::vector<Fault> Faults() {
  using Request = PredictionRequest;
  static const std::string not_finite("\0\0\x80\x7f\0\0\x80\x7f\0\0\x80\x7f\0\0\x80\x7f", 16);
  return {
      {"UnknownModel", [](Request& r) { r.model = "muppet"; }, "model", "unknown model 'muppet'",
       absl::StatusCode::kNotFound},
      {"UnknownVersion", [](Request& r) { r.model_version = 4; }, "model_version", "no version 4",
       absl::StatusCode::kNotFound},
      {"UnknownLabel", [](Request& r) { r.version_label = "stable"; }, "version_label", "label 'stable'",
       absl::StatusCode::kNotFound},
      {"VersionAndLabel", [](Request& r) { r.model_version = 3, r.version_label = "stable"; },
       "version_label", "not both"},
      {"RoutingKey", [](Request& r) { r.routing_key.assign(257, 'k'); }, "routing_key",
       "at most 256 bytes; was 257"},
      {"NoInput", [](Request& r) { r.inputs.clear(); }, "inputs", "1 to 8 inputs (max_batch_size); has 0"},
      {"TooManyInputs", [](Request& r) { r.inputs.resize(9, r.inputs[0]); }, "inputs", "has 9"},
      {"NegativeTopK", [](Request& r) { r.top_k = -1; }, "options.top_k", "0 (the default) to 4"},
      {"TopKAboveTheClasses", [](Request& r) { r.top_k = 5; }, "options.top_k", "was 5"},
      {"EmptyInput", [](Request& r) { r.inputs[1].value = std::monostate(); }, "inputs[1]",
       "inputs[1]: an input needs"},
      {"ImageForATensorModel", [](Request& r) { r.inputs[1].value = EncodedImage{"png"}; }, "inputs[1]",
       "inputs[1]: model 'puppet' takes tensors, not images"},
      {"PixelsForATensorModel",
       [](Request& r) {
         r.inputs[1].value = PixelView{1, 1, 1, "x"};
       },
       "inputs[1]", "takes tensors, not images"},
      {"TensorType", [](Request& r) { SecondTensor(r).type = TensorInput::Type::kUint8; },
       "inputs[1].tensor.data_type", "inputs[1]: data_type must be FLOAT32; was UINT8"},
      {"TensorRank",
       [](Request& r) {
         SecondTensor(r).shape = {1, 4};
       },
       "inputs[1].tensor.shape", "inputs[1]: rank must be 1"},
      {"TensorShape", [](Request& r) { SecondTensor(r).shape = {5}; }, "inputs[1].tensor.shape",
       "must be [4]; was [5]"},
      {"TensorBytes", [](Request& r) { SecondTensor(r).data[0].remove_suffix(1); }, "inputs[1].tensor.data",
       "takes 16 bytes; data has 15"},
      {"TensorValue", [](Request& r) { SecondTensor(r).data = {not_finite}; }, "inputs[1].tensor.data",
       "element 0 is inf"},
      {"TooManyAttributes",
       [](Request& r) {
         r.inputs[1].attributes.resize(9, {"key", "value"});
       },
       "inputs[1].attributes", "inputs[1]: at most 8 attributes; there are 9"},
      {"EmptyAttributeKey",
       [](Request& r) {
         r.inputs[1].attributes = {{"", "value"}};
       },
       "inputs[1].attributes.key", "1 to 32 bytes; was 0"},
      {"LongAttributeKey",
       [](Request& r) {
         r.inputs[1].attributes = {{std::string(33, 'k'), ""}};
       },
       "inputs[1].attributes.key", "was 33"},
      {"LongAttributeValue",
       [](Request& r) {
         r.inputs[1].attributes = {{"camera", std::string(65, 'v')}};
       },
       "inputs[1].attributes.value", "'camera' must be at most 64 bytes; has 65"},
      {"AttributeValueThatATerminalWouldObey",
       [](Request& r) {
         r.inputs[1].attributes = {{"camera", "\x1b[2J"}};
       },
       "inputs[1].attributes.value", "'camera' must have no control characters"},
      {"UnlistedAttributeKey",
       [](Request& r) {
         r.inputs[1].attributes = {{"camera", "north"}, {"camra", "south"}};
       },
       "inputs[1].attributes.key", "model.yaml lists: camera, hour; was 'camra'"},
      {"AttributeGivenTwice",
       [](Request& r) {
         r.inputs[1].attributes = {{"camera", "north"}, {"camera", "south"}};
       },
       "inputs[1].attributes.key", "given once; 'camera' is there more often"},
  };
}

class PredictorErrorsTest : public PredictorFixture, public ::testing::WithParamInterface<Fault> {};

TEST_P(PredictorErrorsTest, NamesTheFieldAndTheRule) {
  Publish();
  PredictionRequest request = Request({Tensor({1, 2, 3, 4}), Tensor({5, 6, 7, 8})});
  GetParam().make(request);
  const absl::Status status = Predict(std::move(request)).status();
  EXPECT_EQ(status.code(), GetParam().code) << status;
  EXPECT_EQ(ErrorField(status), GetParam().field);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().rule));
  EXPECT_THAT(model_->rows_run(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Faults, PredictorErrorsTest, ::testing::ValuesIn(Faults()),
                         [](const auto& info) { return info.param.name; });

class PredictorLimitsTest : public PredictorFixture {};

TEST_F(PredictorLimitsTest, WhatIsJustWithinTheRulesIsAnswered) {
  Publish();
  PredictionRequest request = Request(std::vector<PredictionInput>(8, Tensor({1, 2, 3, 4})));
  request.top_k = 4;
  request.routing_key.assign(256, 'k');
  request.inputs[1].attributes = {{"camera", std::string(64, 'v')}, {"hour", ""}};
  EXPECT_TRUE(Predict(std::move(request)).ok());
}

TEST_F(PredictorLimitsTest, ALargeTensorThatCannotBeLetInIsNotReadThrough) {
  constexpr int kColumns = 16'384;  // 64 KiB
  Publish({.classes = kColumns, .columns = kColumns});
  std::vector<float> values(kColumns);
  values.back() = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(std::string(Predict(Request({Tensor(values)})).status().message()),
              HasSubstr("every element must be finite; element 16383 is nan"));
  batcher_->Refuse(WithReason(absl::ResourceExhaustedError("too late"), "DEADLINE_UNREACHABLE"));
  EXPECT_EQ(ErrorReason(Predict(Request({Tensor(values)})).status()), "DEADLINE_UNREACHABLE");
}

TEST_F(PredictorLimitsTest, ARefusedRequestIsCountedForItsModelVersion) {
  Publish();
  EXPECT_FALSE(Predict(Request({})).ok());
  EXPECT_FALSE(Predict(Request({PredictionInput()})).ok());
  EXPECT_EQ(served_->counters->failed(absl::StatusCode::kInvalidArgument).count(), 2);
}

}  // namespace
}  // namespace calserve
