// Small files that would cost much.
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/imaging/decoder.h"
#include "tests/unit/imaging/fixtures.h"
#include "tests/unit/imaging/png_builder.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

// `key` of /proc/self/status, in MB: VmRSS is the memory held now, VmHWM the most since ResetPeak().
double Megabytes(absl::string_view key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kilobytes = 0;
    if (word == key && status >> kilobytes) return kilobytes / 1024;
  }
  return 0;
}

void ResetPeak() { std::ofstream("/proc/self/clear_refs") << 5; }

struct Cost {
  absl::Status status;
  double cpu_seconds;
  double megabytes;
};

Cost Measure(absl::string_view bytes) {
  ResetPeak();
  const double megabytes = Megabytes("VmRSS:"), seconds = CpuSeconds();
  absl::Status status = Decode(bytes, Color::kRgb, DecodeLimits()).status();
  return {std::move(status), CpuSeconds() - seconds, Megabytes("VmHWM:") - megabytes};
}

// 1 bit a pixel, all black: 128 MB of rows in 124 kB.
TEST(DecodeLimitsTest, APngBombIsRefusedFromItsHeader) {
  const std::string bomb =
      absl::StrCat(PngSignature(), PngHeader(32000, 32000, 1, 0),
                   PngChunk("IDAT", DeflatedZeros(32000 * 4001, 9)), PngChunk("IEND", ""));
  EXPECT_NEAR(bomb.size(), 124'500, 1'000);
  const Cost cost = Measure(bomb);
  EXPECT_EQ(cost.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(cost.status.message()),
              HasSubstr("at most 40000000 pixels; this PNG has 32000 x 32000 = 1024000000"));
  EXPECT_LT(cost.cpu_seconds, 0.050);
  EXPECT_LT(cost.megabytes, 64);
}

TEST(DecodeLimitsTest, TheLargestDimensionsDoNotOverflow) {
  const Cost cost = Measure(absl::StrCat(PngSignature(), PngHeader(0x7fffffff, 0x7fffffff, 8, 2)));
  EXPECT_EQ(cost.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_LT(cost.megabytes, 1);
}

TEST(DecodeLimitsTest, NoSideIsZero) {
  for (const auto& [width, height] : {std::pair{0u, 5u}, {5u, 0u}}) {
    const std::string png = absl::StrCat(PngSignature(), PngHeader(width, height, 8, 0),
                                         PngChunk("IDAT", DeflatedZeros(6, 9)), PngChunk("IEND", ""));
    EXPECT_EQ(Measure(png).status.code(), absl::StatusCode::kInvalidArgument);
  }
  std::string jpeg = imaging_fixtures::ImageFile("jpeg_420.jpg");
  const size_t frame = jpeg.find("\xff\xc0");
  jpeg.replace(frame + 5, 2, std::string(2, '\0'));  // height: a DNL marker would have to follow
  EXPECT_EQ(Measure(jpeg).status.code(), absl::StatusCode::kInvalidArgument);
}

// Text and profiles are compressed too: 256 MB of zeros in 250 kB beside a single pixel.
TEST(DecodeLimitsTest, MetadataIsNoBombEither) {
  const std::string zeros = DeflatedZeros(256 << 20, 9);
  for (const auto& [type, head] : {std::pair{"zTXt", absl::string_view("Comment\0\0", 9)},
                                   {"iCCP", absl::string_view("profile\0\0", 9)},
                                   {"iTXt", absl::string_view("Comment\0\1\0\0\0", 12)}}) {
    const std::string png =
        absl::StrCat(PngSignature(), PngHeader(1, 1, 8, 0), PngChunk(type, absl::StrCat(head, zeros)),
                     PngChunk("IDAT", DeflatedZeros(2, 9)), PngChunk("IEND", ""));
    const Cost cost = Measure(png);
    EXPECT_LT(cost.megabytes, 64) << type;
    EXPECT_LT(cost.cpu_seconds, 0.5) << type;
  }
}

// libspng's chunk limit, which stops the above, must not stop pixels.
TEST(DecodeLimitsTest, PixelsMayBeOneLargeChunk) {
  const int width = 3000, height = 2200;  // 19.8 MB, stored
  const std::string png =
      absl::StrCat(PngSignature(), PngHeader(width, height, 8, 2),
                   PngChunk("IDAT", DeflatedZeros((3 * width + 1) * height, 0)), PngChunk("IEND", ""));
  EXPECT_GT(png.size(), 19'000'000u);
  EXPECT_TRUE(Measure(png).status.ok()) << Measure(png).status;
}

// A progressive JPEG may send scan after scan of nothing over all its blocks.
TEST(DecodeLimitsTest, ProgressiveScansAreLimited) {
  const std::string jpeg = imaging_fixtures::ImageFile("jpeg_progressive.jpg");  // 10 scans
  const size_t last_scan = jpeg.rfind("\xff\xda");
  ASSERT_NE(last_scan, std::string::npos);
  std::string bomb = jpeg.substr(0, jpeg.size() - 2);
  for (int i = 0; i < 1000; ++i) bomb += jpeg.substr(last_scan, jpeg.size() - 2 - last_scan);
  const Cost cost = Measure(bomb + "\xff\xd9");
  EXPECT_EQ(cost.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(cost.status.message()), HasSubstr("at most 64 scans; this one has 1010"));
}

// What looks like scans behind the end, as in a photograph with a video appended, does not count.
TEST(DecodeLimitsTest, ScansEndWithTheImage) {
  std::string jpeg = imaging_fixtures::ImageFile("jpeg_progressive.jpg");
  for (int i = 0; i < 1000; ++i) jpeg += std::string("\xff\xda\x00\x02", 4);
  EXPECT_TRUE(Measure(jpeg).status.ok()) << Measure(jpeg).status;
}

}  // namespace
}  // namespace calserve
