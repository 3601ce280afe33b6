#ifndef CALSERVE_SERVER_IMAGING_IMAGE_FORMAT_H_
#define CALSERVE_SERVER_IMAGING_IMAGE_FORMAT_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace calserve {

enum class ImageFormat { kJpeg, kPng, kWebp };

// "JPEG", "PNG" or "WebP".
absl::string_view FormatName(ImageFormat format);

// The format that the first bytes name: JPEG, PNG and WebP only. Anything else is INVALID_ARGUMENT with what
// the bytes look like; nothing of it reaches a decoder.
absl::StatusOr<ImageFormat> SniffFormat(absl::string_view encoded);

}  // namespace calserve

#endif  // CALSERVE_SERVER_IMAGING_IMAGE_FORMAT_H_
