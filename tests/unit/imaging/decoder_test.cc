#include "server/imaging/decoder.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/imaging/fixtures.h"

namespace calserve {
namespace {

using imaging_fixtures::Expected;
using imaging_fixtures::ImageFile;
using imaging_fixtures::Index;
using imaging_fixtures::LargestDifference;
using ::testing::HasSubstr;

// Every pixel layout of every format against Pillow, as RGB and as grey.
TEST(DecodeTest, EveryLayoutIsDecodedAsPillowDoes) {
  ASSERT_GE(Index()["decode"].size(), 80u);
  for (const auto& entry : Index()["decode"]) {
    const std::string file = entry["file"];
    SCOPED_TRACE(absl::StrCat(file, " as ", entry["mode"].get<std::string>()));
    const bool grey = entry["mode"] == "L";
    const auto image = Decode(ImageFile(file), grey ? Color::kGrey : Color::kRgb, DecodeLimits());
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->height, entry["shape"][0]);
    EXPECT_EQ(image->width, entry["shape"][1]);
    EXPECT_EQ(image->channels, entry["shape"][2]);
    EXPECT_LE(LargestDifference(image->pixels, Expected(entry)), entry["tolerance"]);
  }
}

TEST(DecodeTest, BgrModelsGetRgbPixelsToo) {
  const std::string file = ImageFile("png_rgb8.png");
  EXPECT_EQ(Decode(file, Color::kBgr, DecodeLimits())->pixels,
            Decode(file, Color::kRgb, DecodeLimits())->pixels);
}

TEST(ReadHeaderTest, ReadsDimensionsOfEachFormat) {
  for (const auto& [file, format] : {std::pair{"jpeg_420.jpg", ImageFormat::kJpeg},
                                     {"jpeg_uncommon_chroma.jpg", ImageFormat::kJpeg},
                                     {"png_rgb8.png", ImageFormat::kPng},
                                     {"webp_lossless_alpha.webp", ImageFormat::kWebp}}) {
    const auto header = ReadHeader(ImageFile(file));
    ASSERT_TRUE(header.ok()) << file << header.status();
    EXPECT_EQ(header->format, format);
    const auto image = Decode(ImageFile(file), Color::kRgb, DecodeLimits());
    EXPECT_EQ(header->height, image->height);
    EXPECT_EQ(header->width, image->width);
  }
}

TEST(DecodeTest, TheLimitIsExact) {
  const std::string file = ImageFile("png_rgb8.png");  // 21 × 13 = 273
  EXPECT_TRUE(Decode(file, Color::kRgb, DecodeLimits{.max_pixels = 273}).ok());
  const auto refused = Decode(file, Color::kRgb, DecodeLimits{.max_pixels = 272});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("at most 272 pixels; this PNG has 21 x 13 = 273"));
}

TEST(DecodeTest, AnAnimatedWebpIsRefused) {
  const auto refused = Decode(ImageFile("webp_animated.webp"), Color::kRgb, DecodeLimits());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("this one is animated"));
}

TEST(DecodeTest, BytesAfterTheEndAreIgnored) {
  for (const char* file : {"jpeg_420.jpg", "png_rgb8.png", "webp_lossy.webp"}) {
    const std::string bytes = ImageFile(file);
    const auto with_tail = Decode(bytes + "trailing bytes", Color::kRgb, DecodeLimits());
    ASSERT_TRUE(with_tail.ok()) << file << with_tail.status();
    EXPECT_EQ(with_tail->pixels, Decode(bytes, Color::kRgb, DecodeLimits())->pixels);
  }
}

// Some cameras put zeros between the last scan and the end marker.
TEST(DecodeTest, PaddingBeforeTheEndOfAJpegIsHarmless) {
  const std::string bytes = ImageFile("jpeg_420.jpg");
  const std::string padded =
      bytes.substr(0, bytes.size() - 2) + std::string(7, '\0') + bytes.substr(bytes.size() - 2);
  const auto image = Decode(padded, Color::kRgb, DecodeLimits());
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->pixels, Decode(bytes, Color::kRgb, DecodeLimits())->pixels);
}

}  // namespace
}  // namespace calserve
