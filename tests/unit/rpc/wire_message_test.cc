#include "server/rpc/wire_message.h"

#include <gmock/gmock.h>
#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "calserve/v1/prediction.pb.h"
#include "inference/grpc_service.pb.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

constexpr int kMillion = 1'000'000;

// As it comes from the network, in pieces.
grpc::ByteBuffer ToBytes(const std::string& wire) {
  constexpr size_t kPiece = 16384;
  std::vector<grpc::Slice> slices;
  for (size_t i = 0; i < wire.size(); i += kPiece) slices.emplace_back(wire.substr(i, kPiece));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

template <typename Message>
absl::Status Parse(const std::string& wire, Message* message = nullptr) {
  Message own;
  ByteBudget::Share held;
  return ParseMessage(ToBytes(wire), message == nullptr ? own : *message, held);
}

void ExpectTooComplex(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "MESSAGE_TOO_COMPLEX");
  EXPECT_THAT(std::string(status.message()), HasSubstr("more than 1000000 fields"));
}

TEST(WireMessageTest, AMillionFieldsAreReadAndOneMoreIsNot) {
  v1::PredictRequest request;
  for (int i = 0; i < kMillion; ++i) request.add_inputs();
  v1::PredictRequest read;
  ASSERT_TRUE(Parse(request.SerializeAsString(), &read).ok());
  EXPECT_EQ(read.inputs_size(), kMillion);
  request.add_inputs();
  ExpectTooComplex(Parse<v1::PredictRequest>(request.SerializeAsString()));
}

TEST(WireMessageTest, FieldsAreCountedAtEveryLevelAndWhetherKnownOrNot) {
  v1::PredictRequest nested;
  v1::Input& input = *nested.add_inputs();
  for (int i = 0; i < kMillion; ++i) input.add_attributes();
  ExpectTooComplex(Parse<v1::PredictRequest>(nested.SerializeAsString()));

  v1::PredictRequest unknown;
  for (int i = 0; i <= kMillion; ++i)
    unknown.GetReflection()->MutableUnknownFields(&unknown)->AddVarint(1000, 1);
  ExpectTooComplex(Parse<v1::PredictRequest>(unknown.SerializeAsString()));

  // A group, which no message of ours has: 1000, with a million empty fields.
  std::string group = "\xc3\x3e";
  for (int i = 0; i < kMillion; ++i) group += std::string("\x12\0", 2);
  ExpectTooComplex(Parse<v1::PredictRequest>(group + "\xc4\x3e"));

  inference::ModelInferRequest strings;
  auto& contents = *strings.add_inputs()->mutable_contents();
  for (int i = 0; i < kMillion; ++i) contents.add_bytes_contents("");
  ExpectTooComplex(Parse<inference::ModelInferRequest>(strings.SerializeAsString()));
}

TEST(WireMessageTest, NumbersOfATensorAreNoFields) {
  inference::ModelInferRequest request;
  auto& input = *request.add_inputs();
  input.mutable_contents()->mutable_fp32_contents()->Resize(2 * kMillion, 1.0f);
  request.add_raw_input_contents(std::string(8 * kMillion, 'x'));
  inference::ModelInferRequest read;
  ASSERT_TRUE(Parse(request.SerializeAsString(), &read).ok());
  EXPECT_EQ(read.inputs(0).contents().fp32_contents_size(), 2 * kMillion);
  EXPECT_EQ(read.raw_input_contents(0), request.raw_input_contents(0));
}

TEST(WireMessageTest, WhatCannotBeReadIsTold) {
  v1::PredictRequest request;
  request.mutable_inputs()->Add()->set_encoded_image(std::string(200'000, 'x'));
  const std::string whole = request.SerializeAsString();
  ASSERT_TRUE(Parse<v1::PredictRequest>(whole).ok());
  for (const std::string& broken :
       {whole.substr(0, whole.size() - 1), whole + "\x07", std::string(200'000, '\xff'), whole + "\x0a"}) {
    const absl::Status status = Parse<v1::PredictRequest>(broken);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ErrorReason(status), "MESSAGE_UNREADABLE");
  }
  // Groups within groups, deeper than Protobuf reads; one that ends as another; one that has not begun.
  EXPECT_EQ(ErrorReason(Parse<v1::PredictRequest>(std::string(100'000, '\x0b'))), "MESSAGE_UNREADABLE");
  const std::string padding(kCountedBytes, '\0');
  EXPECT_EQ(ErrorReason(Parse<v1::PredictRequest>("\xc3\x3e\x0c" + padding)), "MESSAGE_UNREADABLE");
  EXPECT_EQ(ErrorReason(Parse<v1::PredictRequest>("\x0c" + padding)), "MESSAGE_UNREADABLE");
}

TEST(WireMessageTest, AGroupOfFieldsThatAreNotKnownIsReadOver) {
  v1::PredictRequest request;
  request.set_model(std::string(kCountedBytes, 'm'));
  v1::PredictRequest read;
  const std::string group = std::string("\xc3\x3e\x0a\x02\xff\xff\x13\x14\xc4\x3e", 10);
  ASSERT_TRUE(Parse(group + request.SerializeAsString(), &read).ok());
  EXPECT_EQ(read.model(), request.model());
}

// By an estimate from above of what is parsed; Protobuf says what it is.
TEST(WireMessageTest, WhatIsParsedTakesNoMoreThanWhatIsCounted) {
  v1::PredictRequest inputs;
  for (int i = 0; i < 10'000; ++i) inputs.add_inputs();
  v1::PredictRequest unknown;
  for (int i = 0; i < 10'000; ++i)
    unknown.GetReflection()->MutableUnknownFields(&unknown)->AddVarint(1000, 1);
  v1::PredictRequest attributes;
  v1::Input& input = *attributes.add_inputs();
  for (int i = 0; i < 10'000; ++i) input.add_attributes()->set_key("k");
  for (const v1::PredictRequest& request : {inputs, unknown, attributes}) {
    ByteBudget::Share held;
    v1::PredictRequest read;
    ASSERT_TRUE(ParseMessage(ToBytes(request.SerializeAsString()), read, held).ok());
    EXPECT_GE(held.bytes(), static_cast<int64_t>(read.SpaceUsedLong()));
  }
  inference::ModelInferRequest numbers;
  numbers.add_inputs()->mutable_contents()->mutable_int64_contents()->Resize(10'000, 1);
  ByteBudget::Share held;
  inference::ModelInferRequest read;
  ASSERT_TRUE(ParseMessage(ToBytes(numbers.SerializeAsString()), read, held).ok());
  EXPECT_GE(held.bytes(), static_cast<int64_t>(read.SpaceUsedLong()));
}

TEST(WireMessageTest, WhatCannotBeHadLaterIsAnsweredWhateverIsTaken) {
  ByteBudget::Share all;
  all.TakeAnyway(UnsentBytes(), UnsentBytes().limit());
  v1::PredictRequest answer;
  answer.set_model(std::string(2 * kCountedBytes, 'm'));
  grpc::ByteBuffer bytes;
  const absl::Status full = SerializeMessage(answer, bytes, WhenFull::kRefuse);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorRetryAfter(full), absl::Seconds(1));
  EXPECT_TRUE(SerializeMessage(answer, bytes, WhenFull::kAnswer).ok());
  EXPECT_GT(UnsentBytes().taken(), UnsentBytes().limit());
}

TEST(WireMessageTest, WhatNeverFitsIsNotToBeSentAgain) {
  const int64_t limit = ReceivedBytes().limit();
  ReceivedBytes().SetLimit(kCountedBytes);
  v1::PredictRequest request;
  request.set_model(std::string(2 * kCountedBytes, 'm'));
  const absl::Status status = Parse<v1::PredictRequest>(request.SerializeAsString());
  ReceivedBytes().SetLimit(limit);
  EXPECT_EQ(ErrorReason(status), "MESSAGES_HELD");
  EXPECT_EQ(ErrorRetryAfter(status), absl::InfiniteDuration());
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("4096 are all there may be (grpc.max_received_bytes)"));
}

TEST(WireMessageTest, WhatIsHeldIsCountedUntilItIsLetGo) {
  v1::PredictRequest request;
  request.set_model(std::string(kCountedBytes, 'm'));
  const std::string wire = request.SerializeAsString();
  {
    ByteBudget::Share held;
    ASSERT_TRUE(ParseMessage(ToBytes(wire), request, held).ok());
    EXPECT_EQ(ReceivedBytes().taken(), held.bytes());
    EXPECT_GT(held.bytes(), static_cast<int64_t>(wire.size()));
    grpc::ByteBuffer answer;
    ASSERT_TRUE(SerializeMessage(request, answer).ok());
    EXPECT_EQ(UnsentBytes().taken(), static_cast<int64_t>(wire.size()));
    EXPECT_EQ(answer.Length(), wire.size());
    grpc::ByteBuffer same = answer;
    answer.Clear();
    EXPECT_EQ(UnsentBytes().taken(), static_cast<int64_t>(wire.size()));
  }
  EXPECT_EQ(ReceivedBytes().taken(), 0);
  EXPECT_EQ(UnsentBytes().taken(), 0);
}

TEST(WireMessageTest, SmallMessagesAreNotCounted) {
  v1::PredictRequest request;
  request.set_model(std::string(kCountedBytes - 100, 'm'));
  ByteBudget::Share held;
  ASSERT_TRUE(ParseMessage(ToBytes(request.SerializeAsString()), request, held).ok());
  grpc::ByteBuffer answer;
  ASSERT_TRUE(SerializeMessage(request, answer).ok());
  EXPECT_EQ(ReceivedBytes().taken(), 0);
  EXPECT_EQ(UnsentBytes().taken(), 0);
}

}  // namespace
}  // namespace calserve
