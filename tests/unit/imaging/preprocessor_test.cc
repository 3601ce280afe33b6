#include "server/imaging/preprocessor.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

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

ImageInputSpec ParseSpec(const nlohmann::json& json) {
  ImageInputSpec spec;
  spec.height = json["size"][0];
  spec.width = json["size"][1];
  spec.color = json["color"] == "grey" ? Color::kGrey : json["color"] == "bgr" ? Color::kBgr : Color::kRgb;
  spec.transform = json["transform"] == "opencv" ? Transform::kOpenCv : Transform::kTorchvision;
  if (json.contains("resize")) {
    if (json["resize"].is_number()) {
      spec.resize_shorter = json["resize"].get<int>();
    } else {
      spec.resize_exact = ImageSize{json["resize"][0], json["resize"][1]};
    }
  }
  const std::string interpolation = json.value("interpolation", "bilinear");
  spec.interpolation = interpolation == "bicubic"   ? Interpolation::kBicubic
                       : interpolation == "nearest" ? Interpolation::kNearest
                       : interpolation == "area"    ? Interpolation::kArea
                                                    : Interpolation::kBilinear;
  return spec;
}

std::vector<float> Preprocess(const ImageInputSpec& spec, const std::string& file) {
  const auto preprocessor = Preprocessor::Create(spec, DecodeLimits());
  EXPECT_TRUE(preprocessor.ok()) << preprocessor.status();
  std::vector<float> input(preprocessor->output_size(), NAN);
  const absl::Status status = preprocessor->Run(ImageFile(file), absl::MakeSpan(input));
  EXPECT_TRUE(status.ok()) << status;
  return input;
}

// C×H×W floats of whole pixel values back to H×W×C.
std::vector<uint8_t> ToPixels(const std::vector<float>& input, int channels) {
  const size_t plane = input.size() / channels;
  std::vector<uint8_t> pixels(input.size());
  for (size_t i = 0; i < input.size(); ++i) {
    EXPECT_EQ(input[i], std::floor(input[i]));
    pixels[i % plane * channels + i / plane] = static_cast<uint8_t>(input[i]);
  }
  return pixels;
}

// Photographs and synthetic images through resize and crop, against torchvision v2 and albumentations (cv2).
TEST(PreprocessorTest, EqualsThePythonOriginalsToWithinOneLevel) {
  int exact = 0, total = 0;
  for (const auto& entry : Index()["preprocess"]) {
    SCOPED_TRACE(entry.dump());
    ImageInputSpec spec = ParseSpec(entry["spec"]);
    spec.scale_to_unit = false;
    const std::vector<uint8_t> pixels = ToPixels(Preprocess(spec, entry["file"]), spec.channels());
    const int difference = LargestDifference(pixels, Expected(entry));
    EXPECT_LE(difference, 1);
    exact += difference == 0;
    ++total;
  }
  EXPECT_GE(total, 80);
  RecordProperty("exact", exact);
  RecordProperty("total", total);
}

// What Decode makes of the file, given as pixels.
std::vector<float> PreprocessPixels(const ImageInputSpec& spec, const std::string& file, Color decoded_as) {
  const auto image = Decode(ImageFile(file), decoded_as, DecodeLimits());
  EXPECT_TRUE(image.ok()) << image.status();
  const auto preprocessor = Preprocessor::Create(spec, DecodeLimits());
  std::vector<float> input(preprocessor->output_size(), NAN);
  const absl::string_view bytes(reinterpret_cast<const char*>(image->pixels.data()), image->pixels.size());
  const absl::Status status = preprocessor->Run(
      PixelView{image->height, image->width, image->channels, bytes}, absl::MakeSpan(input));
  EXPECT_TRUE(status.ok()) << status;
  return input;
}

TEST(PreprocessorTest, PixelsBecomeTheSameInputAsTheFileThatTheyWereDecodedFrom) {
  for (const Color color : {Color::kGrey, Color::kRgb, Color::kBgr}) {
    ImageInputSpec spec;
    spec.height = 40;
    spec.width = 56;
    spec.color = color;
    spec.resize_shorter = 48;
    EXPECT_EQ(PreprocessPixels(spec, "china.jpg", Color::kRgb), Preprocess(spec, "china.jpg"));
    EXPECT_EQ(PreprocessPixels(spec, "jpeg_grey.jpg", Color::kGrey), Preprocess(spec, "jpeg_grey.jpg"));
  }
}

TEST(PreprocessorTest, PixelsOfAnotherSizeThanTheySayAreRefused) {
  ImageInputSpec spec;
  spec.height = spec.width = 2;
  DecodeLimits limits;
  limits.max_pixels = 100;
  const auto preprocessor = Preprocessor::Create(spec, limits);
  std::vector<float> input(preprocessor->output_size());
  const std::string bytes(3000, 'x');
  const auto run = [&](int height, int width, int channels, size_t size) {
    return std::string(preprocessor
                           ->Run(PixelView{height, width, channels, absl::string_view(bytes).substr(0, size)},
                                 absl::MakeSpan(input))
                           .message());
  };
  EXPECT_EQ(run(10, 10, 3, 300), "");
  EXPECT_THAT(run(10, 10, 3, 299), HasSubstr("are 300 bytes; there are 299"));
  EXPECT_THAT(run(10, 10, 3, 301), HasSubstr("there are 301"));
  EXPECT_THAT(run(10, 11, 3, 330), HasSubstr("at most 100 pixels"));
  EXPECT_THAT(run(65536, 65536, 1, 0), HasSubstr("at most 100 pixels"));
  EXPECT_THAT(run(0, 10, 3, 0), HasSubstr("at least 1 x 1"));
  EXPECT_THAT(run(10, 10, 4, 400), HasSubstr("1 or 3 channels"));
}

TEST(PreprocessorTest, NormalisesAsTorchvision) {
  for (const auto& entry : Index()["normalised"]) {
    ImageInputSpec spec;
    spec.height = spec.width = 16;
    spec.mean = entry["mean"].get<std::vector<float>>();
    spec.std = entry["std"].get<std::vector<float>>();
    const std::vector<float> input = Preprocess(spec, entry["file"]);
    const absl::Span<const float> expected = Expected<float>(entry);
    ASSERT_EQ(input.size(), expected.size());
    for (size_t i = 0; i < input.size(); ++i) EXPECT_NEAR(input[i], expected[i], 1e-6) << i;
  }
}

TEST(PreprocessorTest, MeanAndStdFollowTheModelsChannelOrder) {
  ImageInputSpec spec;
  spec.height = spec.width = 16;
  spec.scale_to_unit = false;
  const std::vector<float> rgb = Preprocess(spec, "every_value.png");
  spec.color = Color::kBgr;
  spec.mean = {1, 2, 3};
  spec.std = {1, 1, 2};
  const std::vector<float> bgr = Preprocess(spec, "every_value.png");
  for (int i = 0; i < 256; ++i) {
    EXPECT_EQ(bgr[i], rgb[512 + i] - 1);           // blue
    EXPECT_EQ(bgr[512 + i], (rgb[i] - 3) / 2.0f);  // red
  }
}

// Zero pixels are padded before normalising, as torchvision's CenterCrop does on the image.
TEST(PreprocessorTest, PaddingIsANormalisedZeroPixel) {
  ImageInputSpec spec;
  spec.height = spec.width = 20;
  spec.resize_exact = ImageSize{16, 16};
  spec.mean = {0.5f, 0.5f, 0.5f};
  spec.std = {0.25f, 0.25f, 0.25f};
  const std::vector<float> input = Preprocess(spec, "every_value.png");
  EXPECT_EQ(input[0], -2.0f);
  EXPECT_EQ(input[399], -2.0f);
  EXPECT_EQ(std::count(input.begin(), input.begin() + 400, -2.0f),
            400 - 256 + 1);  // one pixel of each plane is 0
}

TEST(PreprocessorTest, SaysWhatIsWrong) {
  ImageInputSpec spec;
  spec.height = spec.width = 8;
  const auto preprocessor = Preprocessor::Create(spec, DecodeLimits{.max_pixels = 200});
  std::vector<float> input(preprocessor->output_size());
  EXPECT_EQ(preprocessor->Run("NITF02.10", absl::MakeSpan(input)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(preprocessor->Run(ImageFile("every_value.png"), absl::MakeSpan(input)).code(),
            absl::StatusCode::kInvalidArgument);
  input.pop_back();
  EXPECT_EQ(preprocessor->Run("", absl::MakeSpan(input)).code(), absl::StatusCode::kInternal);

  EXPECT_EQ(Preprocessor::Create(ImageInputSpec(), DecodeLimits()).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Preprocessor::Create(spec, DecodeLimits{.max_pixels = 0}).status().message()),
              HasSubstr("max_pixels must be from 1 to 2147483647; was 0"));
}

TEST(PreprocessorTest, ThreadsShareOne) {
  for (const Transform transform : {Transform::kTorchvision, Transform::kOpenCv}) {
    ImageInputSpec spec;
    spec.height = 40;
    spec.width = 30;
    spec.transform = transform;
    const auto preprocessor = Preprocessor::Create(spec, DecodeLimits());
    const std::vector<float> expected = Preprocess(spec, "china.jpg");
    const std::string file = ImageFile("china.jpg");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        std::vector<float> input(preprocessor->output_size());
        for (int i = 0; i < 20; ++i) {
          ASSERT_TRUE(preprocessor->Run(file, absl::MakeSpan(input)).ok());
          ASSERT_EQ(input, expected);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace calserve
