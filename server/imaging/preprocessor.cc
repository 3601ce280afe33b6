#include "server/imaging/preprocessor.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <mutex>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/imaging/codecs.h"
#include "server/imaging/resize.h"
#include "server/imaging/resize_geometry.h"

namespace calserve {
namespace {

// In float32, step by step, as torchvision's to_dtype(scale=True) and normalize compute it.
std::array<float, 256> NormalisedValues(bool scale_to_unit, float mean, float std) {
  std::array<float, 256> values;
  for (int pixel = 0; pixel < 256; ++pixel) {
    const float scaled = scale_to_unit ? static_cast<float>(pixel) / 255.0f : static_cast<float>(pixel);
    values[pixel] = (scaled - mean) / std;
  }
  return values;
}

// Fills one plane of height×width floats from channel `channel` of the resized image.
void WritePlane(const Image& image, const ResizeGeometry& geometry, const ImageSize& size, int channel,
                const std::array<float, 256>& values, float* plane) {
  // The columns and rows of the plane that lie inside the image; the others are padding.
  const int first_x = std::clamp(-geometry.left, 0, size.width);
  const int last_x = std::clamp(image.width - geometry.left, first_x, size.width);
  for (int y = 0; y < size.height; ++y) {
    float* const row = plane + static_cast<ptrdiff_t>(y) * size.width;
    const int image_y = y + geometry.top;
    if (image_y < 0 || image_y >= image.height) {
      std::fill(row, row + size.width, values[0]);
      continue;
    }
    std::fill(row, row + first_x, values[0]);
    const uint8_t* pixel =
        image.pixels.data() +
        (static_cast<ptrdiff_t>(image_y) * image.width + first_x + geometry.left) * image.channels + channel;
    for (int x = first_x; x < last_x; ++x, pixel += image.channels) row[x] = values[*pixel];
    std::fill(row + last_x, row + size.width, values[0]);
  }
}

absl::Status CheckPixels(const PixelView& pixels, const DecodeLimits& limits) {
  if (pixels.height < 1 || pixels.width < 1 || (pixels.channels != 1 && pixels.channels != 3)) {
    return absl::InvalidArgumentError(
        absl::StrCat("pixels must be at least 1 x 1, with 1 or 3 channels; were ", pixels.width, " x ",
                     pixels.height, " with ", pixels.channels));
  }
  const int64_t count = static_cast<int64_t>(pixels.height) * pixels.width;
  if (count > limits.max_pixels) {
    return absl::InvalidArgumentError(absl::StrCat("image must have at most ", limits.max_pixels,
                                                   " pixels; this one has ", pixels.width, " x ",
                                                   pixels.height, " = ", count));
  }
  if (static_cast<int64_t>(pixels.bytes.size()) != count * pixels.channels) {
    return absl::InvalidArgumentError(absl::StrCat(pixels.width, " x ", pixels.height, " pixels with ",
                                                   pixels.channels, " channels are ", count * pixels.channels,
                                                   " bytes; there are ", pixels.bytes.size()));
  }
  return absl::OkStatus();
}

// A copy with 1 channel or 3, as Decode makes them of a file.
Image ConvertChannels(const PixelView& from, int channels) {
  Image image{from.height, from.width, channels, {}};
  const absl::Span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(from.bytes.data()),
                                        from.bytes.size());
  if (from.channels == channels) {
    image.pixels.assign(bytes.begin(), bytes.end());
  } else if (channels == 1) {
    image.pixels.resize(bytes.size() / 3);
    imaging_internal::RgbToGrey(bytes, absl::MakeSpan(image.pixels));
  } else {
    image.pixels.reserve(bytes.size() * 3);
    for (const uint8_t grey : bytes) image.pixels.insert(image.pixels.end(), 3, grey);
  }
  return image;
}

absl::StatusOr<Image> Resize(Image image, const ImageInputSpec& spec, const ImageSize& size) {
  if (ImageSize{image.height, image.width} == size) return image;
  if (spec.transform == Transform::kOpenCv) {
    return imaging_internal::ResizeOpenCv(image, size, spec.interpolation);
  }
  return imaging_internal::ResizeTorchvision(image, size, spec.interpolation);
}

}  // namespace

absl::StatusOr<Preprocessor> Preprocessor::Create(ImageInputSpec spec, DecodeLimits limits) {
  RETURN_IF_ERROR(spec.Validate());
  if (limits.max_pixels < 1 || limits.max_pixels > std::numeric_limits<int>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_pixels must be from 1 to ", std::numeric_limits<int>::max(), "; was ", limits.max_pixels));
  }
  if (spec.transform == Transform::kOpenCv) {
    static std::once_flag once;
    std::call_once(once, imaging_internal::UseOneOpenCvThread);
  }
  return Preprocessor(std::move(spec), limits);
}

Preprocessor::Preprocessor(ImageInputSpec spec, DecodeLimits limits)
    : spec_(std::move(spec)), limits_(limits) {
  for (int c = 0; c < spec_.channels(); ++c) {
    normalised_.push_back(NormalisedValues(spec_.scale_to_unit, spec_.mean.empty() ? 0.0f : spec_.mean[c],
                                           spec_.std.empty() ? 1.0f : spec_.std[c]));
  }
}

absl::Status Preprocessor::CheckRoom(absl::Span<float> out) const {
  if (out.size() == static_cast<size_t>(output_size())) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("a model input has ", output_size(), " floats; room for ", out.size()));
}

absl::Status Preprocessor::Run(absl::string_view encoded, absl::Span<float> out) const {
  RETURN_IF_ERROR(CheckRoom(out));
  ASSIGN_OR_RETURN(Image image, Decode(encoded, spec_.color, limits_));
  return RunDecoded(std::move(image), out);
}

absl::Status Preprocessor::Run(const PixelView& pixels, absl::Span<float> out) const {
  RETURN_IF_ERROR(CheckRoom(out));
  RETURN_IF_ERROR(CheckPixels(pixels, limits_));
  return RunDecoded(ConvertChannels(pixels, spec_.color == Color::kGrey ? 1 : 3), out);
}

absl::Status Preprocessor::RunDecoded(Image image, absl::Span<float> out) const {
  ASSIGN_OR_RETURN(const ResizeGeometry geometry,
                   PlanResize(spec_, {image.height, image.width}, limits_.max_pixels));
  ASSIGN_OR_RETURN(image, Resize(std::move(image), spec_, geometry.resized));

  const ImageSize size{spec_.height, spec_.width};
  const int last = spec_.channels() - 1;
  for (int c = 0; c <= last; ++c) {
    const int image_channel = spec_.color == Color::kBgr ? last - c : c;
    WritePlane(image, geometry, size, image_channel, normalised_[c],
               out.data() + static_cast<ptrdiff_t>(c) * size.height * size.width);
  }
  return absl::OkStatus();
}

}  // namespace calserve
