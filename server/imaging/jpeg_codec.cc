#include <turbojpeg.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/imaging/codecs.h"

namespace calserve::imaging_internal {
namespace {

struct HandleDeleter {
  void operator()(void* handle) const { tjDestroy(handle); }
};
using Handle = std::unique_ptr<void, HandleDeleter>;

struct JpegHeader {
  ImageSize size;
  int colorspace = -1;  // TJCS
};

absl::Status Undecodable(tjhandle handle) {
  return absl::InvalidArgumentError(absl::StrCat("damaged or truncated JPEG: ", tjGetErrorStr2(handle)));
}

const unsigned char* Bytes(absl::string_view encoded) {
  return reinterpret_cast<const unsigned char*>(encoded.data());
}

absl::StatusOr<Handle> NewHandle() {
  Handle handle(tjInitDecompress());
  if (handle == nullptr) return absl::InternalError("tjInitDecompress failed");
  return handle;
}

absl::StatusOr<JpegHeader> ReadJpegHeader(tjhandle handle, absl::string_view encoded) {
  int subsampling = -1;  // unused: the decoder handles more layouts than TJSAMP names
  JpegHeader header;
  const int rc = tjDecompressHeader3(handle, Bytes(encoded), encoded.size(), &header.size.width,
                                     &header.size.height, &subsampling, &header.colorspace);
  // A chroma layout without a TJSAMP name fails here after size and colour space are set, yet decodes well.
  if (rc != 0 && header.colorspace < 0) return Undecodable(handle);
  return header;
}

// Cameras pad the entropy-coded data with stray bytes just before the end marker (0xd9). All pixels are there
// by then, and as libjpeg keeps its first warning only, no other came before this one.
bool IsHarmless(absl::string_view warning) {
  return absl::StrContains(warning, "extraneous bytes before marker 0xd9");
}

absl::Status Decompress(tjhandle handle, absl::string_view encoded, const ImageSize& size, int format,
                        uint8_t* out) {
  // Progressive files may hold any number of scans over the same pixels; libjpeg-turbo stops at 500.
  const int rc = tjDecompress2(handle, Bytes(encoded), encoded.size(), out, size.width, /*pitch=*/0,
                               size.height, format, TJFLAG_LIMITSCANS);
  if (rc == 0) return absl::OkStatus();
  if (tjGetErrorCode(handle) == TJERR_WARNING && IsHarmless(tjGetErrorStr2(handle))) return absl::OkStatus();
  return Undecodable(handle);
}

// `cmyk` as Adobe writes it, inverted: 255 is no ink. Pillow's rounding of c·k / 255.
void CmykToRgb(absl::Span<const uint8_t> cmyk, absl::Span<uint8_t> rgb) {
  const uint8_t* from = cmyk.data();
  for (size_t i = 0; i < rgb.size(); i += 3, from += 4) {
    const int k = from[3];
    for (int c = 0; c < 3; ++c) {
      const int ink = (255 - from[c]) * k + 128;
      const int value = k - ((ink + (ink >> 8)) >> 8);
      rgb[i + c] = static_cast<uint8_t>(value < 0 ? 0 : value);
    }
  }
}

}  // namespace

absl::StatusOr<ImageSize> ReadJpegSize(absl::string_view encoded) {
  ASSIGN_OR_RETURN(const Handle handle, NewHandle());
  ASSIGN_OR_RETURN(const JpegHeader header, ReadJpegHeader(handle.get(), encoded));
  return header.size;
}

absl::Status DecodeJpeg(absl::string_view encoded, Image* image) {
  ASSIGN_OR_RETURN(const Handle handle, NewHandle());
  ASSIGN_OR_RETURN(const JpegHeader header, ReadJpegHeader(handle.get(), encoded));
  const size_t pixels = static_cast<size_t>(header.size.height) * header.size.width;
  image->pixels.resize(pixels * image->channels);
  if (header.colorspace == TJCS_GRAY && image->channels == 1) {
    return Decompress(handle.get(), encoded, header.size, TJPF_GRAY, image->pixels.data());
  }
  std::vector<uint8_t> rgb_for_grey(image->channels == 1 ? pixels * 3 : 0);
  const absl::Span<uint8_t> rgb = absl::MakeSpan(image->channels == 1 ? rgb_for_grey : image->pixels);
  if (header.colorspace == TJCS_CMYK || header.colorspace == TJCS_YCCK) {
    std::vector<uint8_t> cmyk(pixels * 4);
    RETURN_IF_ERROR(Decompress(handle.get(), encoded, header.size, TJPF_CMYK, cmyk.data()));
    CmykToRgb(cmyk, rgb);
  } else {
    RETURN_IF_ERROR(Decompress(handle.get(), encoded, header.size, TJPF_RGB, rgb.data()));
  }
  if (image->channels == 1) RgbToGrey(rgb, absl::MakeSpan(image->pixels));
  return absl::OkStatus();
}

}  // namespace calserve::imaging_internal
