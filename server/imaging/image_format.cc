#include "server/imaging/image_format.h"

#include <algorithm>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace calserve {
namespace {

struct Signature {
  size_t offset;
  absl::string_view bytes;
  absl::string_view name;
};

// Formats that people do send, so that the refusal can name them. Longer signatures before their prefixes.
constexpr Signature kRefused[] = {
    {0, "GIF87a", "a GIF"},
    {0, "GIF89a", "a GIF"},
    {0, absl::string_view("II*\0", 4), "a TIFF"},
    {0, absl::string_view("MM\0*", 4), "a TIFF"},
    {0, absl::string_view("II+\0", 4), "a BigTIFF"},
    {0, absl::string_view("MM\0+", 4), "a BigTIFF"},
    {0, "NITF", "a NITF"},
    {0, "NSIF", "a NSIF"},
    {0, "%PDF", "a PDF"},
    {0, absl::string_view("\0\0\0\x0cjP  ", 8), "a JPEG 2000"},
    {0, absl::string_view("\xff\x4f\xff\x51", 4), "a JPEG 2000 codestream"},
    {0, absl::string_view("\xff\x0a", 2), "a JPEG XL"},
    {0, absl::string_view("\0\0\0\x0cJXL ", 8), "a JPEG XL"},
    {4, "ftypavif", "an AVIF"},
    {4, "ftypheic", "a HEIC"},
    {4, "ftypheix", "a HEIC"},
    {4, "ftypmif1", "a HEIF"},
    {4, "ftyp", "an MP4 or another ISO media file"},
    {128, "DICM", "a DICOM"},
    {0, "\x76\x2f\x31\x01", "an OpenEXR"},
    {0, "8BPS", "a Photoshop file"},
    {0, absl::string_view("\0\0\1\0", 4), "an ICO"},
    {0, "\x89HDF\r\n\x1a\n", "an HDF5 file"},
    {0, "\x93NUMPY", "a NumPy array"},
    {0, "PK\x03\x04", "a ZIP archive"},
    {0, "\x1f\x8b", "a gzip file"},
    {0, "<?xml", "XML or an SVG"},
    {0, "<svg", "an SVG"},
    {0, "data:image", "a data: URL; send the decoded bytes"},
    {0, "BM", "a BMP"},
};

bool Matches(absl::string_view encoded, size_t offset, absl::string_view bytes) {
  return encoded.size() >= offset && absl::StartsWith(encoded.substr(offset), bytes);
}

std::string FirstBytes(absl::string_view encoded) {
  std::string hex;
  for (const char byte : encoded.substr(0, 8)) {
    absl::StrAppendFormat(&hex, "%s%02x", hex.empty() ? "" : " ", static_cast<unsigned char>(byte));
  }
  return hex;
}

}  // namespace

absl::string_view FormatName(ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg:
      return "JPEG";
    case ImageFormat::kPng:
      return "PNG";
    case ImageFormat::kWebp:
      return "WebP";
  }
  return "unknown";
}

absl::StatusOr<ImageFormat> SniffFormat(absl::string_view encoded) {
  if (encoded.empty()) return absl::InvalidArgumentError("not an image: it is empty");
  if (Matches(encoded, 0, "\xff\xd8\xff")) return ImageFormat::kJpeg;
  if (Matches(encoded, 0, "\x89PNG\r\n\x1a\n")) return ImageFormat::kPng;
  if (Matches(encoded, 0, "RIFF") && Matches(encoded, 8, "WEBP")) return ImageFormat::kWebp;
  for (const Signature& signature : kRefused) {
    if (Matches(encoded, signature.offset, signature.bytes)) {
      return absl::InvalidArgumentError(
          absl::StrCat("image must be JPEG, PNG or WebP; this looks like ", signature.name));
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("not an image: must be JPEG, PNG or WebP; starts with bytes ", FirstBytes(encoded)));
}

}  // namespace calserve
