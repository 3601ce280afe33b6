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

// A scan passes over all blocks of its components, and a legal progressive file may have thousands of them,
// each of a few bytes: libjpeg-turbo's own limit of 500 lets 0.5 MB cost 12 s at 40 Mpixel. Encoders write 1
// to 12.
constexpr int kMaxScans = 64;

// The start-of-scan markers before the end of the image.
int CountScans(absl::string_view encoded) {
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(encoded[at]); };
  int scans = 0;
  size_t at = 2;  // behind the start-of-image marker
  while ((at = encoded.find('\xff', at)) != absl::string_view::npos && at + 4 <= encoded.size()) {
    const uint8_t marker = byte(at + 1);
    if (marker == 0xff) {  // fill byte
      at += 1;
    } else if (marker <= 0x01 ||
               (marker >= 0xd0 && marker <= 0xd8)) {  // escaped 0xff, restart: no length follows
      at += 2;
    } else if (marker == 0xd9) {  // end of image
      break;
    } else {
      if (marker == 0xda) ++scans;
      at += 2 + byte(at + 2) * 256 + byte(at + 3);
    }
  }
  return scans;
}

// Cameras pad the entropy-coded data with stray bytes just before the end marker (0xd9): every pixel is there
// by then.
bool IsHarmless(tjhandle handle) {
  return tjGetErrorCode(handle) == TJERR_WARNING &&
         absl::StrContains(tjGetErrorStr2(handle), "extraneous bytes before marker 0xd9");
}

// libjpeg's warnings ("Premature end of JPEG file") are errors here. Stopping at the first one also bounds
// what a damaged file costs; only a file whose first warning is harmless is decoded again, to its end.
absl::Status Decompress(tjhandle handle, absl::string_view encoded, const ImageSize& size, int format,
                        uint8_t* out) {
  const auto decompress = [&](int flags) {
    return tjDecompress2(handle, Bytes(encoded), encoded.size(), out, size.width, /*pitch=*/0, size.height,
                         format, flags);
  };
  if (decompress(TJFLAG_STOPONWARNING) == 0) return absl::OkStatus();
  if (!IsHarmless(handle)) return Undecodable(handle);
  // libjpeg keeps the first warning only, and it was the first of both passes.
  if (decompress(0) == 0 || IsHarmless(handle)) return absl::OkStatus();
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
  if (const int scans = CountScans(encoded); scans > kMaxScans) {
    return absl::InvalidArgumentError(
        absl::StrCat("JPEG must have at most ", kMaxScans, " scans; this one has ", scans));
  }
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
