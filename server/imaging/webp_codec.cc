#include <webp/decode.h>

#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/imaging/codecs.h"

namespace calserve::imaging_internal {
namespace {

const uint8_t* Bytes(absl::string_view encoded) { return reinterpret_cast<const uint8_t*>(encoded.data()); }

absl::string_view Reason(VP8StatusCode code) {
  switch (code) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      return "it ends early";
    case VP8_STATUS_BITSTREAM_ERROR:
      return "invalid bitstream";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "unsupported feature";
    default:
      return "undecodable";
  }
}

absl::Status Undecodable(VP8StatusCode code) {
  if (code == VP8_STATUS_OUT_OF_MEMORY) return absl::ResourceExhaustedError("no memory to decode a WebP");
  return absl::InvalidArgumentError(absl::StrCat("damaged or truncated WebP: ", Reason(code)));
}

absl::StatusOr<WebPBitstreamFeatures> ReadFeatures(absl::string_view encoded) {
  WebPBitstreamFeatures features;
  const VP8StatusCode code = WebPGetFeatures(Bytes(encoded), encoded.size(), &features);
  if (code != VP8_STATUS_OK) return Undecodable(code);
  if (features.has_animation != 0) {
    return absl::InvalidArgumentError("WebP must be a still image; this one is animated");
  }
  return features;
}

}  // namespace

absl::StatusOr<ImageSize> ReadWebpSize(absl::string_view encoded) {
  ASSIGN_OR_RETURN(const WebPBitstreamFeatures features, ReadFeatures(encoded));
  return ImageSize{features.height, features.width};
}

absl::Status DecodeWebp(absl::string_view encoded, Image* image) {
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) return absl::InternalError("libwebp: header and library differ");
  ASSIGN_OR_RETURN(config.input, ReadFeatures(encoded));

  const size_t pixels = static_cast<size_t>(config.input.height) * config.input.width;
  std::vector<uint8_t> rgb(pixels * 3);
  config.output.colorspace = MODE_RGB;  // drops alpha without blending
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = rgb.data();
  config.output.u.RGBA.stride = config.input.width * 3;
  config.output.u.RGBA.size = rgb.size();
  const VP8StatusCode code = WebPDecode(Bytes(encoded), encoded.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (code != VP8_STATUS_OK) return Undecodable(code);

  if (image->channels == 1) {
    RgbToGrey(rgb, absl::MakeSpan(rgb.data(), pixels));
    rgb.resize(pixels);
  }
  image->pixels = std::move(rgb);
  return absl::OkStatus();
}

}  // namespace calserve::imaging_internal
