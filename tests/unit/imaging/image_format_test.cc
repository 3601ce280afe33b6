#include "server/imaging/image_format.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

TEST(SniffFormatTest, KnowsItsThreeFormats) {
  EXPECT_EQ(*SniffFormat("\xff\xd8\xff\xe0"), ImageFormat::kJpeg);
  EXPECT_EQ(*SniffFormat("\x89PNG\r\n\x1a\n"), ImageFormat::kPng);
  EXPECT_EQ(*SniffFormat(absl::string_view("RIFF\0\0\0\0WEBPVP8 ", 16)), ImageFormat::kWebp);
}

TEST(SniffFormatTest, NamesWhatItRefuses) {
  const std::vector<std::pair<absl::string_view, const char*>> refused = {
      {"GIF89a\1\0\1\0", "a GIF"},
      {absl::string_view("II*\0\10\0\0\0", 8), "a TIFF"},
      {absl::string_view("MM\0*\0\0\0\10", 8), "a TIFF"},
      {"NITF02.10", "a NITF"},
      {"BM6\0\0\0", "a BMP"},
      {"%PDF-1.7", "a PDF"},
      {absl::string_view("\0\0\0\x1c"
                         "ftypavif",
                         12),
       "an AVIF"},
      {"data:image/png;base64,iVBOR", "a data: URL"},
  };
  for (const auto& [bytes, name] : refused) {
    const auto format = SniffFormat(bytes);
    EXPECT_EQ(format.status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(format.status().message()), HasSubstr(name));
  }
}

TEST(SniffFormatTest, ShowsTheFirstBytesOfWhatItDoesNotKnow) {
  EXPECT_THAT(
      std::string(SniffFormat("hello, world").status().message()),
      HasSubstr("not an image: must be JPEG, PNG or WebP; starts with bytes 68 65 6c 6c 6f 2c 20 77"));
  EXPECT_THAT(std::string(SniffFormat("\xff").status().message()), HasSubstr("starts with bytes ff"));
  EXPECT_THAT(std::string(SniffFormat("").status().message()), HasSubstr("empty"));
}

TEST(SniffFormatTest, APrefixOfASignatureIsNoImage) {
  const std::string png = "\x89PNG\r\n\x1a\n";
  for (size_t n = 0; n < png.size(); ++n) EXPECT_FALSE(SniffFormat(png.substr(0, n)).ok()) << n;
}

}  // namespace
}  // namespace calserve
