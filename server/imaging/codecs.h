#ifndef CALSERVE_SERVER_IMAGING_CODECS_H_
#define CALSERVE_SERVER_IMAGING_CODECS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/imaging/decoder.h"

// One library a file, for decoder.cc only. The bytes have passed SniffFormat; errors are INVALID_ARGUMENT.
namespace calserve::imaging_internal {

// The dimensions in the header, as the library that will decode it reads them.
absl::StatusOr<ImageSize> ReadJpegSize(absl::string_view encoded);
absl::StatusOr<ImageSize> ReadPngSize(absl::string_view encoded);
absl::StatusOr<ImageSize> ReadWebpSize(absl::string_view encoded);

// Fills image->pixels; height, width (those of Read…Size, limits checked) and channels (1 or 3) are set.
absl::Status DecodeJpeg(absl::string_view encoded, Image* image);
absl::Status DecodePng(absl::string_view encoded, Image* image);
absl::Status DecodeWebp(absl::string_view encoded, Image* image);

// rgb holds 3 bytes a pixel, grey 1 for each of them; Pillow's integer form of ITU-R 601. grey may be the
// first third of rgb.
void RgbToGrey(absl::Span<const uint8_t> rgb, absl::Span<uint8_t> grey);

}  // namespace calserve::imaging_internal

#endif  // CALSERVE_SERVER_IMAGING_CODECS_H_
