#include "server/rpc/kserve_inputs.h"

#include <cstring>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/byte_pieces.h"
#include "server/base/error_info.h"
#include "tests/unit/rpc/kserve_fixtures.h"

namespace calserve::kserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class KserveInputsTest : public ::testing::Test {
 protected:
  inference::ModelInferRequest::InferInputTensor& Tensor(const std::string& datatype,
                                                         const std::vector<int64_t>& shape) {
    request_.Clear();
    auto& tensor = *request_.add_inputs();
    tensor.set_name("input");
    tensor.set_datatype(datatype);
    tensor.mutable_shape()->Add(shape.begin(), shape.end());
    return tensor;
  }
  void Raw(const std::string& datatype, const std::vector<int64_t>& shape, const std::string& raw) {
    Tensor(datatype, shape);
    request_.add_raw_input_contents(raw);
  }
  static std::string Floats(const std::vector<float>& values) { return std::string(BytesOf(values)); }
  static std::string Element(const std::string& bytes, uint32_t length) {
    std::string raw(sizeof(length), '\0');
    std::memcpy(raw.data(), &length, sizeof(length));
    return raw + bytes;
  }
  static std::string Element(const std::string& bytes) {
    return Element(bytes, static_cast<uint32_t>(bytes.size()));
  }
  absl::StatusOr<InputRows> Read() const { return ReadInput(request_, in_place_, *model_); }
  std::string Refused() const {
    const absl::StatusOr<InputRows> rows = Read();
    EXPECT_TRUE(absl::IsInvalidArgument(rows.status())) << rows.status();
    EXPECT_NE(ErrorField(rows.status()), "");
    return std::string(rows.status().message());
  }

  std::shared_ptr<ServedModel> model_ = ImageModel();
  inference::ModelInferRequest request_;
  BytePieces in_place_;
};

TEST_F(KserveInputsTest, RawFloatsAreCutIntoRowsWithoutACopy) {
  Raw("FP32", {2, 1, 2, 3}, Floats({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  const auto input = Read();
  ASSERT_TRUE(input.ok()) << input.status();
  ASSERT_EQ(input->rows.size(), 2);
  for (int row = 0; row < 2; ++row) {
    const auto& tensor = std::get<TensorInput>(input->rows[row].value);
    EXPECT_EQ(tensor.type, TensorInput::Type::kFloat32);
    EXPECT_THAT(tensor.shape, ElementsAre(1, 2, 3));
    ASSERT_THAT(tensor.data, ::testing::SizeIs(1));
    EXPECT_EQ(tensor.data[0].data(), request_.raw_input_contents(0).data() + row * 24);
    EXPECT_EQ(tensor.data[0].size(), 24);
  }
}

// In pieces, of which one ends within a row and one within a value.
TEST_F(KserveInputsTest, RawFloatsInPlaceAreCutIntoRowsWithoutACopy) {
  const std::string floats = Floats({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  Raw("FP32", {2, 1, 2, 3}, "");
  in_place_ = {absl::string_view(floats).substr(0, 20), absl::string_view(floats).substr(20, 21),
               absl::string_view(floats).substr(41)};
  const auto input = Read();
  ASSERT_TRUE(input.ok()) << input.status();
  ASSERT_EQ(input->rows.size(), 2);
  const BytePieces& first = std::get<TensorInput>(input->rows[0].value).data;
  const BytePieces& second = std::get<TensorInput>(input->rows[1].value).data;
  EXPECT_EQ(JoinPieces(first), floats.substr(0, 24));
  EXPECT_EQ(JoinPieces(second), floats.substr(24));
  EXPECT_EQ(first[0].data(), floats.data());
  in_place_.pop_back();
  EXPECT_THAT(Refused(),
              HasSubstr("input byte size mismatch for input 'input' for model 'm'. Expected 48, got 41"));
}

TEST_F(KserveInputsTest, ContentsThatAreEmptyMayStandBesideRawOnes) {
  Raw("FP32", {1, 1, 2, 3}, Floats({0, 1, 2, 3, 4, 5}));
  request_.mutable_inputs(0)->mutable_contents();
  EXPECT_TRUE(Read().ok()) << Read().status();
  request_.mutable_inputs(0)->mutable_contents()->add_fp32_contents(0);
  EXPECT_THAT(Refused(), HasSubstr("contents field must not be specified"));
}

TEST_F(KserveInputsTest, TypedFloatsAreReadWhereTheyAre) {
  auto& tensor = Tensor("FP32", {1, 1, 2, 3});
  for (const float value : {0, 1, 2, 3, 4, 5}) tensor.mutable_contents()->add_fp32_contents(value);
  const auto input = Read();
  ASSERT_TRUE(input.ok()) << input.status();
  EXPECT_THAT(std::get<TensorInput>(input->rows[0].value).data, ElementsAre(Floats({0, 1, 2, 3, 4, 5})));
}

TEST_F(KserveInputsTest, PixelsMayHaveAnySizeAndOneChannelOrThree) {
  Raw("UINT8", {2, 1, 4, 3}, "abcdefghijklmnopqrstuvwx");
  const auto input = Read();
  ASSERT_TRUE(input.ok()) << input.status();
  const auto& pixels = std::get<PixelView>(input->rows[1].value);
  EXPECT_EQ(pixels.height, 1);
  EXPECT_EQ(pixels.width, 4);
  EXPECT_EQ(pixels.channels, 3);
  EXPECT_EQ(pixels.bytes, "mnopqrstuvwx");
  Raw("UINT8", {1, 5, 2, 1}, "abcdefghij");
  EXPECT_EQ(std::get<PixelView>(Read()->rows[0].value).channels, 1);
}

TEST_F(KserveInputsTest, TypedPixelsAreConvertedAndStayValidWhenMoved) {
  auto& tensor = Tensor("UINT8", {2, 1, 1, 1});
  tensor.mutable_contents()->add_uint_contents(200);
  tensor.mutable_contents()->add_uint_contents(255);
  absl::StatusOr<InputRows> input = Read();
  ASSERT_TRUE(input.ok()) << input.status();
  const InputRows moved = *std::move(input);
  EXPECT_EQ(std::get<PixelView>(moved.rows[0].value).bytes, "\xC8");
  EXPECT_EQ(std::get<PixelView>(moved.rows[1].value).bytes, "\xFF");
  tensor.mutable_contents()->set_uint_contents(1, 256);
  EXPECT_THAT(Refused(), HasSubstr("element 1 is 256"));
}

TEST_F(KserveInputsTest, FilesAreElementsOfBytesAndMayBeEmpty) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{2}, std::vector<int64_t>{2, 1}}) {
    Raw("BYTES", shape, Element("file") + Element(""));
    const auto input = Read();
    ASSERT_TRUE(input.ok()) << input.status();
    EXPECT_EQ(std::get<EncodedImage>(input->rows[0].value).bytes, "file");
    EXPECT_EQ(std::get<EncodedImage>(input->rows[1].value).bytes, "");
  }
  auto& tensor = Tensor("BYTES", {1});
  tensor.mutable_contents()->add_bytes_contents("file");
  EXPECT_EQ(std::get<EncodedImage>(Read()->rows[0].value).bytes, "file");
}

TEST_F(KserveInputsTest, BytesThatDoNotAddUpAreRefused) {
  const auto refused = [&](const std::string& raw) {
    Raw("BYTES", {2}, raw);
    return Refused();
  };
  EXPECT_THAT(refused(""), HasSubstr("unexpected number of string elements 0"));
  EXPECT_THAT(refused(Element("a")), HasSubstr("elements 1 for inference input 'input' for model 'm'"));
  EXPECT_THAT(refused(Element("a") + "\1\0\0"), HasSubstr("incomplete string length indicator"));
  EXPECT_THAT(refused(Element("a") + Element("bc", 3)), HasSubstr("expecting 3 bytes but only 2"));
  EXPECT_THAT(refused(Element("a", 0xFFFFFFFF)), HasSubstr("expecting 4294967295 bytes but only 1"));
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += Element("");
  EXPECT_THAT(refused(many), HasSubstr("unexpected number of string elements 3"));
}

TEST_F(KserveInputsTest, AShapeThatOverflowsIsRefusedByItsParts) {
  constexpr int64_t kHuge = int64_t{1} << 62;
  Raw("FP32", {kHuge, 1, 2, 3}, "");
  EXPECT_THAT(Refused(), HasSubstr("batch-size must be <= 4"));
  Raw("UINT8", {4, kHuge, 1, 1}, "");
  EXPECT_THAT(Refused(), HasSubstr("height and width must be from 1 to 1000000"));
  Raw("UINT8", {4, 1'000'000, 1'000'000, 3}, "x");
  EXPECT_THAT(Refused(), HasSubstr("Expected 12000000000000, got 1"));
  Raw("BYTES", {kHuge}, "");
  EXPECT_THAT(Refused(), HasSubstr("batch-size must be <= 4"));
  Raw("FP32", std::vector<int64_t>(100'000, 1), "");
  EXPECT_THAT(Refused(), testing::EndsWith("got [1,1,1,1,1,1,1,1,1,1,…]"));
  Raw("FP32", {}, "");
  EXPECT_THAT(Refused(), HasSubstr("Expected [-1,1,2,3], got []"));
}

TEST_F(KserveInputsTest, AModelOfTensorsTakesFloatsAlone) {
  model_ = TensorModel();
  EXPECT_EQ(InputDataTypes(*model_), "FP32");
  Raw("UINT8", {1, 2, 3, 1}, "abcdef");
  EXPECT_THAT(Refused(), HasSubstr("data-type is 'UINT8', but model 'm' expects 'FP32'"));
  Raw("FP32", {1, 2, 3}, Floats({0, 1, 2, 3, 4, 5}));
  EXPECT_TRUE(Read().ok());
}

TEST_F(KserveInputsTest, DataInTheFieldOfAnotherTypeIsRefused) {
  auto& tensor = Tensor("FP32", {1, 1, 2, 3});
  for (int i = 0; i < 6; ++i) tensor.mutable_contents()->add_fp32_contents(1);
  tensor.mutable_contents()->add_bytes_contents("x");
  EXPECT_THAT(Refused(), HasSubstr("of type 'BYTES', expected datatype 'FP32'"));
}

TEST_F(KserveInputsTest, SharedMemoryIsUnimplemented) {
  auto& tensor = Tensor("FP32", {1, 1, 2, 3});
  (*tensor.mutable_parameters())["shared_memory_region"].set_string_param("region");
  EXPECT_TRUE(absl::IsUnimplemented(Read().status())) << Read().status();
}

}  // namespace
}  // namespace calserve::kserve
