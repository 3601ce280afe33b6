#include "server/prediction/tensor_check.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/byte_pieces.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

class TensorCheckTest : public ::testing::Test {
 protected:
  absl::Status CheckData() const {
    return CheckTensor(tensor_, shape_,
                       std::accumulate(shape_.begin(), shape_.end(), 1, std::multiplies<>()));
  }
  absl::Status Check() {
    tensor_.data = {BytesOf(values_)};
    return CheckData();
  }
  void ExpectError(absl::string_view field, absl::string_view message) {
    const absl::Status status = Check();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ErrorField(status), field);
    EXPECT_EQ(status.message(), message);
  }

  std::vector<int64_t> shape_ = {2, 3};
  std::vector<float> values_ = {1, 2, 3, 4, 5, 6};
  TensorInput tensor_{TensorInput::Type::kFloat32, {2, 3}, {}};
};

TEST_F(TensorCheckTest, ATensorOfTheShapeIsRight) { EXPECT_EQ(Check(), absl::OkStatus()); }

TEST_F(TensorCheckTest, BytesNeedNotBeAligned) {
  const std::string bytes = absl::StrCat("?", BytesOf(values_));
  tensor_.data = {absl::string_view(bytes).substr(1)};
  EXPECT_EQ(CheckData(), absl::OkStatus());
}

// Pieces of 1 to 9 bytes end everywhere within a value, and some values lie in four of them.
TEST_F(TensorCheckTest, ValuesMayLieInSeveralPieces) {
  shape_ = tensor_.shape = {20};
  values_ = std::vector<float>(20, 1.5f);
  for (size_t piece = 1; piece <= 9; ++piece) {
    for (size_t i = 0; i < values_.size(); ++i) {
      SCOPED_TRACE(absl::StrCat("element ", i, " in pieces of ", piece, " bytes"));
      const auto check = [&] {
        tensor_.data.clear();
        for (size_t begin = 0; begin < sizeof(float) * values_.size(); begin += piece) {
          tensor_.data.push_back(BytesOf(values_).substr(begin, piece));
          tensor_.data.emplace_back();  // One may be empty, too.
        }
        return CheckData();
      };
      EXPECT_EQ(check(), absl::OkStatus());
      const float finite = std::exchange(values_[i], -kInfinity);
      EXPECT_EQ(check().message(), absl::StrCat("every element must be finite; element ", i, " is -inf"));
      values_[i] = finite;
    }
  }
}

TEST_F(TensorCheckTest, TheBytesOfAllPiecesAreThoseOfTheShape) {
  tensor_.data = {BytesOf(values_).substr(0, 11), BytesOf(values_).substr(11, 12)};
  EXPECT_EQ(CheckData().message(), "shape [2, 3] of FLOAT32 takes 24 bytes; data has 23");
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
  EXPECT_EQ(Check(), absl::OkStatus());
}

}  // namespace
}  // namespace calserve
