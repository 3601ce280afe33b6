#ifndef CALSERVE_SERVER_IMAGING_DECODER_H_
#define CALSERVE_SERVER_IMAGING_DECODER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/imaging/image_format.h"
#include "server/imaging/image_input_spec.h"

namespace calserve {

struct DecodeLimits {
  // Width × height, before and after resizing. A decode holds 3 to 6 bytes a pixel for a moment, 15 for a
  // progressive CMYK JPEG: 120 to 600 MB at this limit.
  int64_t max_pixels = 40'000'000;
};

struct ImageHeader {
  ImageFormat format = ImageFormat::kJpeg;
  int height = 0;
  int width = 0;
};

// Decoded pixels, height×width×channels, rows without padding. channels is 1 (grey) or 3 (always R, G, B).
struct Image {
  int height = 0;
  int width = 0;
  int channels = 0;
  std::vector<uint8_t> pixels;
};

// The format, and the dimensions as the header states them (each at least 1). Decodes nothing; memory does
// not depend on the dimensions. INVALID_ARGUMENT for anything but JPEG, PNG and WebP and for a broken header.
absl::StatusOr<ImageHeader> ReadHeader(absl::string_view encoded);

// Decodes to one channel for Color::kGrey and to three, in the order R, G, B, for the others. Thread-safe.
// Nothing is written to disk. Every fault of the bytes is INVALID_ARGUMENT; the limits are held before pixels
// are allocated.
//
// What a file holds becomes what the model wants as Pillow's convert("L") and convert("RGB") do it:
//   - grey to RGB repeats the value; colour to grey is ITU-R 601 luma, (19595 R + 38470 G + 7471 B + 32768)
//   >> 16;
//   - alpha and PNG's tRNS are dropped, not composited: a transparent pixel keeps the colour stored under it;
//   - 1, 2 and 4 bits are scaled to 0-255, palettes are looked up, of 16 bits the upper 8 are kept;
//   - CMYK and YCCK JPEG are taken as inverted, as Adobe writes them: R = C·K / 255, likewise G and B;
//   - EXIF orientation, ICC profiles and PNG's gamma are ignored, as torchvision's decode_image does by
//   default.
// A truncated or damaged file is an error even where part of its pixels could be shown (libjpeg's warnings
// and PNG's checksums count); bytes after its end are ignored. An animated WebP is refused.
absl::StatusOr<Image> Decode(absl::string_view encoded, Color color, const DecodeLimits& limits);

}  // namespace calserve

#endif  // CALSERVE_SERVER_IMAGING_DECODER_H_
