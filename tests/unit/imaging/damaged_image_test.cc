// Damaged files: always a Status, never a crash, never half a picture.
#include <sys/resource.h>
#include <unistd.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/imaging/decoder.h"
#include "tests/unit/imaging/fixtures.h"
#include "tests/unit/imaging/png_builder.h"

namespace calserve {
namespace {

using imaging_fixtures::ImageFile;
using ::testing::AnyOf;
using ::testing::HasSubstr;

const std::vector<std::string> kFiles = {"jpeg_420.jpg",    "jpeg_progressive.jpg", "jpeg_cmyk.jpg",
                                         "png_rgba8.png",   "png_palette4.png",     "png_interlaced.png",
                                         "webp_lossy.webp", "webp_lossless.webp",   "webp_lossy_alpha.webp"};

absl::Status TryDecode(absl::string_view bytes) {
  return Decode(bytes, Color::kRgb, DecodeLimits()).status();
}

class DamagedImageTest : public ::testing::TestWithParam<std::string> {};

TEST_P(DamagedImageTest, EveryTruncationIsAnError) {
  const std::string bytes = ImageFile(GetParam());
  // libspng is content with the name of a PNG's end chunk, whose checksum (4 bytes) covers nothing else.
  const size_t unneeded = absl::EndsWith(GetParam(), ".png") ? 4 : 0;
  for (size_t size = 0; size < bytes.size() - unneeded; ++size) {
    ASSERT_EQ(TryDecode(absl::string_view(bytes).substr(0, size)).code(), absl::StatusCode::kInvalidArgument)
        << size << " of " << bytes.size() << " bytes";
  }
}

TEST_P(DamagedImageTest, FlippedBitsGiveAnImageOrInvalidArgument) {
  const std::string bytes = ImageFile(GetParam());
  std::mt19937 random(42);
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string flipped = bytes;
    for (int flips = 1 + round % 3; flips > 0; --flips)
      flipped[random() % flipped.size()] ^= 1 << (random() % 8);
    // With right checksums a PNG's damage reaches the code behind them.
    if (round % 2 == 0 && absl::EndsWith(GetParam(), ".png")) flipped = WithValidChecksums(flipped);
    const absl::StatusCode code = TryDecode(flipped).code();
    ASSERT_THAT(code, AnyOf(absl::StatusCode::kOk, absl::StatusCode::kInvalidArgument)) << "round " << round;
    refused += code != absl::StatusCode::kOk;
  }
  EXPECT_GT(refused, 0);
}

TEST_P(DamagedImageTest, NoiseBehindTheSignatureIsAnError) {
  const std::string signature = ImageFile(GetParam()).substr(0, 16);
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::string noise = signature;
    for (int i = 0; i < 500; ++i) noise.push_back(static_cast<char>(random()));
    ASSERT_EQ(TryDecode(noise).code(), absl::StatusCode::kInvalidArgument) << "round " << round;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, DamagedImageTest, ::testing::ValuesIn(kFiles),
                         [](const auto& info) { return info.param.substr(0, info.param.find('.')); });

TEST(DamagedPngTest, EveryChunksChecksumCounts) {
  const std::string pixel = Deflated(std::string(2, '\0'), 9);
  const std::string parts[] = {PngHeader(1, 1, 8, 0), PngChunk("gAMA", absl::string_view("\0\0\xb1\x8f", 4)),
                               PngChunk("IDAT", pixel), PngChunk("tEXt", absl::string_view("Title\0x", 7)),
                               PngChunk("IEND", "")};
  for (size_t damaged = 0; damaged <= std::size(parts); ++damaged) {
    std::string png = PngSignature();
    for (size_t i = 0; i < std::size(parts); ++i) {
      png += parts[i];
      if (i == damaged) png.back() ^= 1;
    }
    const absl::Status status = TryDecode(png);
    if (damaged == std::size(parts)) {
      EXPECT_TRUE(status.ok()) << status;
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << "part " << damaged;
    }
  }
}

TEST(DamagedJpegTest, TheMessageSaysWhatIsWrong) {
  const std::string bytes = ImageFile("jpeg_420.jpg");
  EXPECT_THAT(std::string(TryDecode(absl::string_view(bytes).substr(0, bytes.size() - 100)).message()),
              HasSubstr("truncated JPEG: Premature end of JPEG file"));
}

// Bytes that OpenCV would have handed to GDAL through a temporary file. With a file size limit of 0 the
// kernel ends the process (SIGXFSZ) at the first byte that it writes to any file.
TEST(RefusedFormatTest, NothingIsWrittenToDisk) {
  const std::string truncated = ImageFile("jpeg_420.jpg").substr(0, 500);
  const auto refuse_all = [&truncated] {
    const rlimit nothing{0, 0};
    if (setrlimit(RLIMIT_FSIZE, &nothing) != 0) _exit(2);
    bool refused = TryDecode(truncated).code() == absl::StatusCode::kInvalidArgument;
    for (const absl::string_view magic :
         {absl::string_view("NITF02.10"), absl::string_view("GIF89a"), absl::string_view("II*\0", 4),
          absl::string_view("MM\0*", 4), absl::string_view("UHL1 DTED"),
          absl::string_view("\x76\x2f\x31\x01"), absl::string_view("\0\0\0\x0cjP  ", 8),
          absl::string_view("plain text")}) {
      const std::string file = absl::StrCat(magic, std::string(4096, 'x'));
      refused &= TryDecode(file).code() == absl::StatusCode::kInvalidArgument;
    }
    _exit(refused ? 0 : 1);
  };
  EXPECT_EXIT(refuse_all(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace calserve
