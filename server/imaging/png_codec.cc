#include <spng.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/imaging/codecs.h"

namespace calserve::imaging_internal {
namespace {

// Metadata (ICC profiles, texts) is inflated by libspng though nobody asks for it: more than this is refused.
constexpr size_t kMaxMetadataBytes = 16 << 20;

struct ContextDeleter {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Context = std::unique_ptr<spng_ctx, ContextDeleter>;

absl::Status Undecodable(int error) {
  return absl::InvalidArgumentError(absl::StrCat("damaged or truncated PNG: ", spng_strerror(error)));
}

// A context that reads `encoded`, which must outlive it.
absl::StatusOr<Context> NewContext(absl::string_view encoded) {
  Context context(spng_ctx_new(0));
  if (context == nullptr) return absl::InternalError("spng_ctx_new failed");
  spng_set_crc_action(context.get(), SPNG_CRC_ERROR, SPNG_CRC_ERROR);
  spng_set_chunk_limits(context.get(), kMaxMetadataBytes, kMaxMetadataBytes);
  if (const int error = spng_set_png_buffer(context.get(), encoded.data(), encoded.size()); error != 0) {
    return Undecodable(error);
  }
  return context;
}

}  // namespace

absl::StatusOr<ImageSize> ReadPngSize(absl::string_view encoded) {
  ASSIGN_OR_RETURN(const Context context, NewContext(encoded));
  spng_ihdr header;
  if (const int error = spng_get_ihdr(context.get(), &header); error != 0) return Undecodable(error);
  return ImageSize{static_cast<int>(header.height),
                   static_cast<int>(header.width)};  // libspng: at most 2^31 - 1
}

absl::Status DecodePng(absl::string_view encoded, Image* image) {
  ASSIGN_OR_RETURN(const Context context, NewContext(encoded));
  spng_ihdr header;
  if (const int error = spng_get_ihdr(context.get(), &header); error != 0) return Undecodable(error);

  // libspng gives one grey channel only from grey files of at most 8 bits; everything else it expands to RGB.
  const bool direct_grey =
      image->channels == 1 && header.color_type == SPNG_COLOR_TYPE_GRAYSCALE && header.bit_depth <= 8;
  const size_t pixels = static_cast<size_t>(header.height) * header.width;
  std::vector<uint8_t> decoded(pixels * (direct_grey ? 1 : 3));
  int error = spng_decode_image(context.get(), decoded.data(), decoded.size(),
                                direct_grey ? SPNG_FMT_G8 : SPNG_FMT_RGB8,
                                /*flags=*/0);
  // To the end marker: the last checksum lies behind the last pixel.
  if (error == 0) error = spng_decode_chunks(context.get());
  if (error != 0) return Undecodable(error);

  if (image->channels == 1 && !direct_grey) {
    RgbToGrey(decoded, absl::MakeSpan(decoded.data(), pixels));
    decoded.resize(pixels);
  }
  image->pixels = std::move(decoded);
  return absl::OkStatus();
}

}  // namespace calserve::imaging_internal
