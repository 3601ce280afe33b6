#include "server/imaging/image_input_spec.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ImageInputSpec Valid() {
  ImageInputSpec spec;
  spec.height = 224;
  spec.width = 192;
  return spec;
}

void ExpectRefused(const ImageInputSpec& spec, const char* message) {
  const absl::Status status = spec.Validate();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << message;
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}

TEST(ImageInputSpecTest, DefaultsAreValidOnceThereIsASize) {
  EXPECT_TRUE(Valid().Validate().ok());
  EXPECT_EQ(Valid().output_size(), 3 * 224 * 192);
  ExpectRefused(ImageInputSpec(), "size height must be from 1 to 16384 pixels; was 0");
}

TEST(ImageInputSpecTest, SaysTheRuleAndTheValue) {
  ImageInputSpec spec = Valid();
  spec.width = 20000;
  ExpectRefused(spec, "size width must be from 1 to 16384 pixels; was 20000");

  spec = Valid();
  spec.resize_shorter = 0;
  ExpectRefused(spec, "resize must be from 1 to 16384 pixels; was 0");

  spec = Valid();
  spec.resize_shorter = 256;
  spec.resize_exact = ImageSize{256, 256};
  ExpectRefused(spec, "both were given");

  spec = Valid();
  spec.interpolation = Interpolation::kArea;
  ExpectRefused(spec, "interpolation must be bilinear, bicubic or nearest: area needs transform: opencv");
  spec.transform = Transform::kOpenCv;
  EXPECT_TRUE(spec.Validate().ok());
}

TEST(ImageInputSpecTest, WithoutCropTheResizeMustGiveTheSize) {
  ImageInputSpec spec = Valid();
  spec.crop = Crop::kNone;
  EXPECT_TRUE(spec.Validate().ok());
  spec.resize_exact = ImageSize{224, 192};
  EXPECT_TRUE(spec.Validate().ok());
  spec.resize_exact = ImageSize{256, 192};
  ExpectRefused(spec, "needs resize equal to size, [224, 192]; was [256, 192]");
  spec.resize_exact.reset();
  spec.resize_shorter = 256;
  ExpectRefused(spec, "crop must be center: none needs resize: [height, width]");
}

TEST(ImageInputSpecTest, EveryBrokenRuleIsSaidWithTheKeysThatItIsAbout) {
  ImageInputSpec spec;
  spec.height = 224;
  spec.interpolation = Interpolation::kArea;
  spec.mean = {0.5f};
  spec.std = {0.0f, 1.0f, -1.0f, -2.0f};
  std::vector<std::string> said;
  for (const ImageInputSpec::Problem& problem : spec.Problems()) {
    said.push_back(absl::StrCat(absl::StrJoin(problem.keys, "+"), " ", problem.what));
  }
  EXPECT_THAT(
      said, ElementsAre("size width must be from 1 to 16384 pixels; was 0",
                        HasSubstr("interpolation+transform must be"),
                        "mean+color must have one value a channel (3); has 1",
                        "std+color must have one value a channel (3); has 4", "std must be > 0; was 0, -1"));
}

TEST(ImageInputSpecTest, MeanAndStdAreOneFiniteNumberAChannel) {
  ImageInputSpec spec = Valid();
  spec.mean = {0.5f};
  ExpectRefused(spec, "mean must have one value a channel (3); has 1");
  spec.color = Color::kGrey;
  EXPECT_TRUE(spec.Validate().ok());
  spec.std = {0.0f};
  ExpectRefused(spec, "std must be > 0; was 0");
  spec.std = {std::nanf("")};
  ExpectRefused(spec, "std must be finite; was nan");
}

}  // namespace
}  // namespace calserve
