#include "server/rpc/tensors_in_place.h"

#include <gmock/gmock.h>
#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calserve/v1/prediction.pb.h"
#include "inference/grpc_service.pb.h"
#include "server/rpc/wire_message.h"

namespace calserve {
namespace {

using ::testing::IsEmpty;

constexpr size_t kLarge = TensorsInPlace::kLarge;

std::string RandomBytes(size_t size) {
  static std::mt19937 random(1);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// As it comes from the network: in pieces, of which each second may be of another size.
std::vector<grpc::Slice> ToSlices(const std::string& wire, size_t piece, size_t second) {
  std::vector<grpc::Slice> slices;
  for (size_t i = 0; i < wire.size(); i += slices.back().size())
    slices.emplace_back(wire.substr(i, slices.size() % 2 == 0 ? piece : second));
  return slices;
}
grpc::ByteBuffer ToBytes(const std::string& wire, size_t piece, size_t second) {
  const std::vector<grpc::Slice> slices = ToSlices(wire, piece, second);
  return grpc::ByteBuffer(slices.data(), slices.size());
}
grpc::ByteBuffer ToBytes(const std::string& wire, size_t piece = 16384) {
  return ToBytes(wire, piece, piece);
}

// Tensors that are large by a byte, small by a byte, and much larger, an image, and fields after each.
v1::PredictRequest Request() {
  v1::PredictRequest request;
  request.set_model("m");
  for (const size_t size : {kLarge, kLarge - 1, size_t{0}, 3 * kLarge + 1}) {
    v1::Input& input = *request.add_inputs();
    input.mutable_tensor()->add_shape(static_cast<int64_t>(size));
    input.mutable_tensor()->set_data(RandomBytes(size));
    input.add_attributes()->set_key("camera");
  }
  request.add_inputs()->set_encoded_image(RandomBytes(2 * kLarge));
  request.set_routing_key("k");
  return request;
}
v1::StreamPredictRequest StreamRequest() {
  v1::StreamPredictRequest request;
  request.set_sequence(300);
  *request.mutable_request() = Request();
  return request;
}
inference::ModelInferRequest InferRequest() {
  inference::ModelInferRequest request;
  request.set_model_name("m");
  request.add_inputs()->set_name("input");
  request.mutable_inputs(0)->set_datatype("FP32");
  for (const size_t size : {kLarge, size_t{5}, size_t{0}, 2 * kLarge})
    request.add_raw_input_contents(RandomBytes(size));
  request.set_id("i");
  return request;
}

// Puts the large tensors where Protobuf has them.
void PutBack(const TensorsInPlace& tensors, v1::PredictRequest& request) {
  for (int i = 0; i < request.inputs_size(); ++i) {
    if (tensors.At(i).empty()) continue;
    ASSERT_TRUE(request.inputs(i).has_tensor());
    ASSERT_THAT(request.inputs(i).tensor().data(), IsEmpty());
    request.mutable_inputs(i)->mutable_tensor()->set_data(JoinPieces(tensors.At(i)));
  }
}
void PutBack(const TensorsInPlace& tensors, v1::StreamPredictRequest& request) {
  if (request.has_request()) PutBack(tensors, *request.mutable_request());
}
void PutBack(const TensorsInPlace& tensors, inference::ModelInferRequest& request) {
  for (int i = 0; i < request.raw_input_contents_size(); ++i) {
    if (tensors.At(i).empty()) continue;
    ASSERT_THAT(request.raw_input_contents(i), IsEmpty());
    request.set_raw_input_contents(i, JoinPieces(tensors.At(i)));
  }
}

// What was parsed, tensors put back, is what Protobuf makes of the same bytes. Whether it was in place.
template <typename Message>
bool ExpectAsProtobuf(const std::string& wire, size_t piece = 16384) {
  Message expected;
  const bool readable = expected.ParseFromString(wire);
  Message message;
  TensorsInPlace tensors;
  grpc::ByteBuffer bytes = ToBytes(wire, piece);
  const bool in_place = tensors.Parse(bytes, message);
  EXPECT_EQ(bytes.Length(), in_place ? 0 : wire.size());
  if (!in_place) return false;
  EXPECT_TRUE(readable);
  PutBack(tensors, message);
  EXPECT_EQ(message.SerializeAsString(), expected.SerializeAsString());
  return true;
}

TEST(TensorsInPlaceTest, LargeTensorsStayInTheirSlices) {
  const v1::PredictRequest request = Request();
  const std::string wire = request.SerializeAsString();
  const std::vector<grpc::Slice> slices = ToSlices(wire, 10'000, 3000);
  grpc::ByteBuffer bytes(slices.data(), slices.size());
  v1::PredictRequest message;
  TensorsInPlace tensors;
  ASSERT_TRUE(tensors.Parse(bytes, message));
  EXPECT_EQ(JoinPieces(tensors.At(0)), request.inputs(0).tensor().data());
  EXPECT_EQ(JoinPieces(tensors.At(3)), request.inputs(3).tensor().data());
  for (const int i : {1, 2, 4, 5, -1}) EXPECT_THAT(tensors.At(i), IsEmpty()) << i;
  EXPECT_EQ(message.inputs(1).tensor().data(), request.inputs(1).tensor().data());
  EXPECT_EQ(message.inputs(4).encoded_image(), request.inputs(4).encoded_image());
  for (const absl::string_view piece : tensors.At(3)) {
    EXPECT_TRUE(std::any_of(slices.begin(), slices.end(), [&](const grpc::Slice& slice) {
      const auto* begin = reinterpret_cast<const uint8_t*>(piece.data());
      return begin >= slice.begin() && begin + piece.size() <= slice.end();
    }));
  }
}

TEST(TensorsInPlaceTest, EachKindOfRequestIsAsProtobufHasIt) {
  for (const size_t piece : {size_t{2500}, size_t{8192}, size_t{16384}, size_t{1} << 20}) {
    EXPECT_TRUE(ExpectAsProtobuf<v1::PredictRequest>(Request().SerializeAsString(), piece)) << piece;
    EXPECT_TRUE(ExpectAsProtobuf<v1::StreamPredictRequest>(StreamRequest().SerializeAsString(), piece));
    EXPECT_TRUE(ExpectAsProtobuf<inference::ModelInferRequest>(InferRequest().SerializeAsString(), piece));
  }
}

// Slices of a few bytes hold them within themselves.
TEST(TensorsInPlaceTest, TheViewsOutliveAMove) {
  const v1::PredictRequest request = Request();
  grpc::ByteBuffer bytes = ToBytes(request.SerializeAsString(), 16384, 7);
  v1::PredictRequest message;
  auto first = std::make_unique<TensorsInPlace>();
  ASSERT_TRUE(first->Parse(bytes, message));
  const BytePieces views(first->At(0).begin(), first->At(0).end());
  const TensorsInPlace second = std::move(*first);
  first.reset();
  EXPECT_EQ(JoinPieces(views), request.inputs(0).tensor().data());
  EXPECT_EQ(JoinPieces(second.At(0)), request.inputs(0).tensor().data());
}

TEST(TensorsInPlaceTest, FieldsThatAreNotKnownAreKeptAtEveryLevel) {
  v1::StreamPredictRequest request = StreamRequest();
  const auto add = [](google::protobuf::Message& message) {
    google::protobuf::UnknownFieldSet& unknown = *message.GetReflection()->MutableUnknownFields(&message);
    unknown.AddVarint(1000, 1);
    unknown.AddLengthDelimited(1001, RandomBytes(1000));
    unknown.AddGroup(1002)->AddFixed32(3, 7);
  };
  add(request);
  add(*request.mutable_request());
  add(*request.mutable_request()->mutable_inputs(0));
  add(*request.mutable_request()->mutable_inputs(0)->mutable_tensor());
  EXPECT_TRUE(ExpectAsProtobuf<v1::StreamPredictRequest>(request.SerializeAsString()));
}

TEST(TensorsInPlaceTest, WhatComesTwiceIsLeftToProtobuf) {
  v1::PredictRequest one, other;
  one.add_inputs()->mutable_tensor()->set_data(RandomBytes(kLarge));
  other.add_inputs()->mutable_tensor()->set_data(RandomBytes(kLarge));
  const auto twice = [&](const google::protobuf::Message& first, const google::protobuf::Message& second) {
    return first.SerializeAsString() + second.SerializeAsString();
  };
  const auto field = [](int number, const std::string& bytes) {
    google::protobuf::UnknownFieldSet fields;
    fields.AddLengthDelimited(number, bytes);
    std::string wire;
    fields.SerializeToString(&wire);
    return wire;
  };
  const int inputs = v1::PredictRequest::kInputsFieldNumber, tensor = v1::Input::kTensorFieldNumber;
  // Inputs are a list: each is one of its own.
  EXPECT_TRUE(ExpectAsProtobuf<v1::PredictRequest>(twice(one, other)));
  // A tensor twice in an input, and its data twice in a tensor: the last counts.
  EXPECT_FALSE(ExpectAsProtobuf<v1::PredictRequest>(field(inputs, twice(one.inputs(0), other.inputs(0)))));
  EXPECT_FALSE(ExpectAsProtobuf<v1::PredictRequest>(
      field(inputs, field(tensor, twice(one.inputs(0).tensor(), other.inputs(0).tensor())))));
  // Of a tensor and an image the last is there.
  const std::string image = field(v1::Input::kEncodedImageFieldNumber, "image");
  EXPECT_TRUE(ExpectAsProtobuf<v1::PredictRequest>(field(inputs, image + one.inputs(0).SerializeAsString())));
  v1::PredictRequest message;
  TensorsInPlace tensors;
  grpc::ByteBuffer bytes = ToBytes(field(inputs, one.inputs(0).SerializeAsString() + image));
  ASSERT_TRUE(tensors.Parse(bytes, message));
  EXPECT_FALSE(message.inputs(0).has_tensor());
  EXPECT_EQ(message.inputs(0).encoded_image(), "image");
}

// A field of bytes, its length written in `width` bytes.
std::string Field(int number, const std::string& bytes, size_t width) {
  std::string wire(1, static_cast<char>(number << 3 | 2));
  uint64_t length = bytes.size();
  for (size_t i = 1; i < width; ++i, length >>= 7) wire += static_cast<char>(length | 0x80);
  return wire + static_cast<char>(length) + bytes;
}

TEST(TensorsInPlaceTest, LengthsAreReadAsProtobufReadsThem) {
  using Kserve = inference::ModelInferRequest;
  const int raw = Kserve::kRawInputContentsFieldNumber;
  const std::string input =
                        "\x2a\x06\x12\x04"
                        "FP32",
                    data = RandomBytes(kLarge);
  for (const size_t width : {3, 4, 5}) {  // bytes, of which three are enough
    EXPECT_TRUE(ExpectAsProtobuf<Kserve>(input + Field(raw, data, width))) << width;
  }
  EXPECT_FALSE(ExpectAsProtobuf<Kserve>(input + Field(raw, data, 6)));
  // 2^32 more than there are.
  EXPECT_FALSE(ExpectAsProtobuf<Kserve>(input + std::string("\x3a\x80\x80\x84\x80\x10") + data));
  // A tag of two bytes, of which one is enough.
  EXPECT_FALSE(ExpectAsProtobuf<Kserve>(input + std::string("\xba\x00", 2) + Field(raw, data, 3).substr(1)));
  // A length that goes on after the end of the message around it, of inputs and of a tensor's data.
  const std::string rest(70'000, '\x08');
  EXPECT_FALSE(ExpectAsProtobuf<v1::StreamPredictRequest>("\x12\x01\x1a\xff\xff\xff\xff\x07" + rest));
  EXPECT_FALSE(ExpectAsProtobuf<v1::PredictRequest>("\x1a\x03\x12\x01\x1a\xff\xff\xff\xff\x07" + rest));
}

TEST(TensorsInPlaceTest, SlicesMayNotBeSmallNorKeepMuchElse) {
  v1::PredictRequest request;
  request.add_inputs()->mutable_tensor()->set_data(RandomBytes(4 * kLarge));
  const std::string wire = request.SerializeAsString();
  EXPECT_FALSE(ExpectAsProtobuf<v1::PredictRequest>(wire, TensorsInPlace::kSmallestPiece - 1));
  // Slices of one block, as gRPC cuts what it has read, and each of a block of its own.
  const int64_t size = static_cast<int64_t>(wire.size());
  const auto kept = [&](std::vector<grpc::Slice> slices) {
    grpc::ByteBuffer bytes(slices.data(), slices.size());
    v1::PredictRequest message;
    TensorsInPlace tensors;
    EXPECT_TRUE(tensors.Parse(bytes, message));
    return BytesInPlace().taken();
  };
  std::vector<grpc::Slice> together, apart;
  const grpc::Slice all(wire);
  for (size_t i = 0; i < wire.size(); i += 16384) {
    together.push_back(all.sub(i, std::min(i + 16384, wire.size())));
    const grpc::Slice block(std::string(kLarge - 16384, '?') + wire.substr(i, 16384));
    apart.push_back(block.sub(kLarge - 16384, block.size()));
  }
  EXPECT_LE(kept(together), 3 * size);
  EXPECT_GE(kept(apart), static_cast<int64_t>(apart.size() * kLarge));
}

TEST(TensorsInPlaceTest, FilesAndPixelsAreLeftToProtobuf) {
  for (const char* datatype : {"BYTES", "UINT8", "", "FP32 "}) {
    inference::ModelInferRequest request = InferRequest();
    request.mutable_inputs(0)->set_datatype(datatype);
    EXPECT_FALSE(ExpectAsProtobuf<inference::ModelInferRequest>(request.SerializeAsString())) << datatype;
  }
  inference::ModelInferRequest two = InferRequest();
  *two.add_inputs() = two.inputs(0);
  EXPECT_FALSE(ExpectAsProtobuf<inference::ModelInferRequest>(two.SerializeAsString()));
}

TEST(TensorsInPlaceTest, MessagesThatAreMostlyOtherThingsAreLeftToProtobuf) {
  v1::PredictRequest request;
  request.add_inputs()->mutable_tensor()->set_data(RandomBytes(kLarge));
  request.add_inputs()->set_encoded_image(RandomBytes(kLarge / 2));
  EXPECT_TRUE(ExpectAsProtobuf<v1::PredictRequest>(request.SerializeAsString()));
  request.add_inputs()->set_encoded_image(RandomBytes(kLarge / 2));
  EXPECT_FALSE(ExpectAsProtobuf<v1::PredictRequest>(request.SerializeAsString()));
}

TEST(TensorsInPlaceTest, MessagesWithoutLargeTensorsAreLeftToProtobuf) {
  v1::PredictRequest images;
  images.add_inputs()->set_encoded_image(RandomBytes(2 * kLarge));
  EXPECT_FALSE(ExpectAsProtobuf<v1::PredictRequest>(images.SerializeAsString()));
  v1::PredictRequest many;
  for (int i = 0; i < 3; ++i) many.add_inputs()->mutable_tensor()->set_data(RandomBytes(kLarge - 1));
  EXPECT_FALSE(ExpectAsProtobuf<v1::PredictRequest>(many.SerializeAsString()));
  EXPECT_FALSE(ExpectAsProtobuf<v1::PredictRequest>(""));
  v1::PredictResponse other;
  grpc::ByteBuffer bytes = ToBytes(Request().SerializeAsString());
  EXPECT_FALSE(TensorsInPlace().Parse(bytes, other));
}

// One byte, or the end, is another. What can still be read in place is what Protobuf reads.
template <typename Message>
void Damage(const std::string& wire, const std::vector<size_t>& where) {
  std::mt19937 random(7);
  int read = 0, left = 0;
  for (const size_t begin : where) {
    for (size_t at = begin; at < std::min(begin + 24, wire.size()); ++at) {
      SCOPED_TRACE(absl::StrCat("byte ", at));
      for (int i = 0; i < 8; ++i) {
        std::string damaged = wire;
        damaged[at] = static_cast<char>(i < 4 ? damaged[at] + (1 << 2 * i) : random());
        ++(ExpectAsProtobuf<Message>(damaged) ? read : left);
      }
      ++(ExpectAsProtobuf<Message>(wire.substr(0, at)) ? read : left);
    }
  }
  EXPECT_GT(read, 0);
  EXPECT_GT(left, 0);
}

TEST(TensorsInPlaceTest, DamagedMessagesAreReadAsProtobufReadsThemOrLeftToIt) {
  v1::StreamPredictRequest request;
  request.set_sequence(1);
  for (int i = 0; i < 2; ++i) {
    v1::Input& input = *request.mutable_request()->add_inputs();
    input.mutable_tensor()->add_shape(5);
    input.mutable_tensor()->set_data(std::string(kLarge, '\0'));
    input.add_attributes()->set_key("a");
  }
  const std::string wire = request.SerializeAsString();
  Damage<v1::StreamPredictRequest>(wire, {0, kLarge, kLarge + 20, wire.size() - 20});
  const std::string kserve = InferRequest().SerializeAsString();
  Damage<inference::ModelInferRequest>(kserve, {0, kserve.size() - 2 * kLarge - 24, kserve.size() - 20});
}

TEST(TensorsInPlaceTest, WhatIsInPlaceIsBounded) {
  const std::string wire = Request().SerializeAsString();
  const int64_t limit = BytesInPlace().limit();
  {
    v1::PredictRequest message;
    TensorsInPlace tensors;
    grpc::ByteBuffer bytes = ToBytes(wire);
    ASSERT_TRUE(tensors.Parse(bytes, message));
    EXPECT_GE(BytesInPlace().taken(), static_cast<int64_t>(wire.size()));
    BytesInPlace().SetLimit(2 * BytesInPlace().taken() - 1);
    TensorsInPlace others;
    bytes = ToBytes(wire);
    EXPECT_FALSE(others.Parse(bytes, message));
    // Then it is copied, as if it were small.
    ByteBudget::Share held;
    ASSERT_TRUE(ParseMessage(bytes, message, held, others).ok());
    EXPECT_EQ(message.SerializeAsString(), wire);
    EXPECT_THAT(others.At(0), IsEmpty());
  }
  EXPECT_EQ(BytesInPlace().taken(), 0);
  BytesInPlace().SetLimit(limit);
}

}  // namespace
}  // namespace calserve
