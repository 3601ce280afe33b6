#include "server/prediction/tensor_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <numeric>
#include <string>

#include "server/base/error_info.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

class TensorCheckTest : public ::testing::Test {
 protected:
  absl::StatusOr<absl::Span<const float>> Check() {
    tensor_.data = {reinterpret_cast<const char*>(values_.data()), values_.size() * sizeof(float)};
    return CheckTensor(tensor_, shape_,
                       std::accumulate(shape_.begin(), shape_.end(), 1, std::multiplies<>()));
  }
  void ExpectError(absl::string_view field, absl::string_view message) {
    const absl::Status status = Check().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ErrorField(status), field);
    EXPECT_EQ(status.message(), message);
  }

  std::vector<int64_t> shape_ = {2, 3};
  std::vector<float> values_ = {1, 2, 3, 4, 5, 6};
  TensorInput tensor_{TensorInput::Type::kFloat32, {2, 3}, {}};
};

TEST_F(TensorCheckTest, TheValuesOfATensorOfTheShapeStayWhereTheyAre) {
  const auto values = Check();
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_EQ(values->data(), values_.data());
  EXPECT_THAT(*values, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(TensorCheckTest, BytesThatAreNotAlignedAreRefusedRatherThanRead) {
  const std::vector<float> room(7);
  tensor_.data = {reinterpret_cast<const char*>(room.data()) + 1, 24};
  EXPECT_EQ(CheckTensor(tensor_, shape_, 6).status().code(), absl::StatusCode::kInternal);
}

TEST_F(TensorCheckTest, TheTypeIsFloat32) {
  tensor_.type = TensorInput::Type::kUint8;
  ExpectError("tensor.data_type", "data_type must be FLOAT32; was UINT8");
  tensor_.type = TensorInput::Type::kUnknown;
  ExpectError("tensor.data_type", "data_type must be FLOAT32; was unknown");
}

TEST_F(TensorCheckTest, TheRankIsTheModelsWithoutABatchDimension) {
  tensor_.shape = {1, 2, 3};
  ExpectError("tensor.shape", "rank must be 2, shape [2, 3] without batch dimension; was [1, 2, 3]");
  tensor_.shape = {};
  ExpectError("tensor.shape", "rank must be 2, shape [2, 3] without batch dimension; was []");
}

TEST_F(TensorCheckTest, AShapeOfAsManyElementsIsStillAnother) {
  tensor_.shape = {3, 2};
  ExpectError("tensor.shape", "shape must be [2, 3]; was [3, 2]");
  tensor_.shape = {-2, -3};
  ExpectError("tensor.shape", "shape must be [2, 3]; was [-2, -3]");
}

TEST_F(TensorCheckTest, TheBytesAreThoseOfTheShape) {
  values_.pop_back();
  ExpectError("tensor.data", "shape [2, 3] of FLOAT32 takes 24 bytes; data has 20");
  values_ = std::vector<float>(7);
  ExpectError("tensor.data", "shape [2, 3] of FLOAT32 takes 24 bytes; data has 28");
  values_.clear();
  ExpectError("tensor.data", "shape [2, 3] of FLOAT32 takes 24 bytes; data has 0");
}

TEST_F(TensorCheckTest, AValueThatIsNotFiniteIsNamedWhereverItIs) {
  // Several of the widest vectors, and a rest.
  shape_ = tensor_.shape = {67};
  values_ = std::vector<float>(67, 1.5f);
  for (size_t i = 0; i < values_.size(); ++i) {
    const float finite = std::exchange(values_[i], kNaN);
    ExpectError("tensor.data", absl::StrCat("every element must be finite; element ", i, " is nan"));
    values_[i] = kInfinity;
    ExpectError("tensor.data", absl::StrCat("every element must be finite; element ", i, " is inf"));
    values_[i] = -kInfinity;
    ExpectError("tensor.data", absl::StrCat("every element must be finite; element ", i, " is -inf"));
    values_[i] = finite;
  }
}

TEST_F(TensorCheckTest, InfinitiesOfBothSignsDoNotCancelOut) {
  values_[1] = kInfinity;
  values_[4] = -kInfinity;
  ExpectError("tensor.data", "every element must be finite; element 1 is inf");
}

TEST_F(TensorCheckTest, TheLargestAndTheSmallestFloatsAreFinite) {
  using Limits = std::numeric_limits<float>;
  values_ = {Limits::max(), Limits::lowest(), Limits::max(), Limits::denorm_min(), -0.0f, Limits::min()};
  const auto values = Check();
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_EQ(*values, absl::MakeConstSpan(values_));
}

}  // namespace
}  // namespace calserve
