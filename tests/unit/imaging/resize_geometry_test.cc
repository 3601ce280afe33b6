#include "server/imaging/resize_geometry.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMaxPixels = 40'000'000;

ImageInputSpec Shorter(Transform transform, int shorter, int height, int width) {
  ImageInputSpec spec;
  spec.transform = transform;
  spec.resize_shorter = shorter;
  spec.height = height;
  spec.width = width;
  return spec;
}

TEST(PlanResizeTest, WithoutResizeItIsTheSize) {
  ImageInputSpec spec = Shorter(Transform::kTorchvision, 1, 20, 30);
  spec.resize_shorter.reset();
  const auto geometry = PlanResize(spec, {100, 10}, kMaxPixels);
  ASSERT_TRUE(geometry.ok());
  EXPECT_EQ(geometry->resized, (ImageSize{20, 30}));
  EXPECT_EQ(geometry->top, 0);
  EXPECT_EQ(geometry->left, 0);
}

// 427×640 to a shorter edge of 256: 256 · 640 / 427 = 383.7.
TEST(PlanResizeTest, TheLongEdgeIsTruncatedAsTorchvisionAndRoundedAsAlbumentations) {
  EXPECT_EQ(PlanResize(Shorter(Transform::kTorchvision, 256, 224, 224), {427, 640}, kMaxPixels)->resized,
            (ImageSize{256, 383}));
  EXPECT_EQ(PlanResize(Shorter(Transform::kOpenCv, 256, 224, 224), {427, 640}, kMaxPixels)->resized,
            (ImageSize{256, 384}));
}

// What is left over: 1, 3 and 5 pixels. Python rounds halves to even.
TEST(PlanResizeTest, CropOffsetsRoundAsTheOriginals) {
  for (const auto& [width, torchvision, opencv] : {std::tuple{31, 0, 0}, {33, 2, 1}, {35, 2, 2}}) {
    EXPECT_EQ(PlanResize(Shorter(Transform::kTorchvision, 30, 30, 30), {30, width}, kMaxPixels)->left,
              torchvision);
    EXPECT_EQ(PlanResize(Shorter(Transform::kOpenCv, 30, 30, 30), {30, width}, kMaxPixels)->left, opencv);
  }
}

TEST(PlanResizeTest, ASmallerImageIsPaddedOnBothSides) {
  for (const Transform transform : {Transform::kTorchvision, Transform::kOpenCv}) {
    const auto geometry = PlanResize(Shorter(transform, 11, 20, 8), {11, 11}, kMaxPixels);
    EXPECT_EQ(geometry->top, -4);  // 4 above, 5 below
    EXPECT_GE(geometry->left, 1);
  }
}

TEST(PlanResizeTest, AVeryLongImageIsRefusedBeforeItGrows) {
  const auto geometry =
      PlanResize(Shorter(Transform::kTorchvision, 224, 224, 224), {1, 2'000'000}, kMaxPixels);
  EXPECT_EQ(geometry.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(geometry.status().message()), HasSubstr("2000000 x 1 becomes 448000000 x 224"));
}

}  // namespace
}  // namespace calserve
