#include "server/imaging/decoder.h"

#include <cstddef>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/imaging/codecs.h"

namespace calserve {
namespace imaging_internal {

void RgbToGrey(absl::Span<const uint8_t> rgb, absl::Span<uint8_t> grey) {
  const uint8_t* from = rgb.data();
  for (uint8_t& to : grey) {
    // Weights 0.299, 0.587, 0.114 times 65536; they sum to 65536, so that grey stays grey.
    to = static_cast<uint8_t>((from[0] * 19595u + from[1] * 38470u + from[2] * 7471u + 32768u) >> 16);
    from += 3;
  }
}

}  // namespace imaging_internal

namespace {

absl::StatusOr<ImageSize> ReadSize(ImageFormat format, absl::string_view encoded) {
  switch (format) {
    case ImageFormat::kJpeg:
      return imaging_internal::ReadJpegSize(encoded);
    case ImageFormat::kPng:
      return imaging_internal::ReadPngSize(encoded);
    case ImageFormat::kWebp:
      return imaging_internal::ReadWebpSize(encoded);
  }
  return absl::InternalError("unknown image format");
}

absl::Status DecodePixels(ImageFormat format, absl::string_view encoded, Image* image) {
  switch (format) {
    case ImageFormat::kJpeg:
      return imaging_internal::DecodeJpeg(encoded, image);
    case ImageFormat::kPng:
      return imaging_internal::DecodePng(encoded, image);
    case ImageFormat::kWebp:
      return imaging_internal::DecodeWebp(encoded, image);
  }
  return absl::InternalError("unknown image format");
}

}  // namespace

absl::StatusOr<ImageHeader> ReadHeader(absl::string_view encoded) {
  ASSIGN_OR_RETURN(const ImageFormat format, SniffFormat(encoded));
  ASSIGN_OR_RETURN(const ImageSize size, ReadSize(format, encoded));
  if (size.height < 1 || size.width < 1) {
    return absl::InvalidArgumentError(absl::StrCat(FormatName(format),
                                                   " must be at least 1 x 1 pixels; its header says ",
                                                   size.width, " x ", size.height));
  }
  return ImageHeader{format, size.height, size.width};
}

absl::StatusOr<Image> Decode(absl::string_view encoded, Color color, const DecodeLimits& limits) {
  ASSIGN_OR_RETURN(const ImageHeader header, ReadHeader(encoded));
  const int64_t pixels = static_cast<int64_t>(header.height) * header.width;
  if (pixels > limits.max_pixels) {
    return absl::InvalidArgumentError(absl::StrCat("image must have at most ", limits.max_pixels,
                                                   " pixels; this ", FormatName(header.format), " has ",
                                                   header.width, " x ", header.height, " = ", pixels));
  }
  Image image{header.height, header.width, color == Color::kGrey ? 1 : 3, {}};
  try {
    RETURN_IF_ERROR(DecodePixels(header.format, encoded, &image));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory to decode an image of ", header.width, " x ", header.height, " pixels"));
  }
  return image;
}

}  // namespace calserve
