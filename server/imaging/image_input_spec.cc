#include "server/imaging/image_input_spec.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

absl::Status CheckSide(absl::string_view key, int side) {
  if (side >= 1 && side <= ImageInputSpec::kMaxSide) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(key, " must be from 1 to ", ImageInputSpec::kMaxSide, " pixels; was ", side));
}

absl::Status CheckPerChannel(absl::string_view key, const std::vector<float>& values, int channels) {
  if (!values.empty() && values.size() != static_cast<size_t>(channels)) {
    return absl::InvalidArgumentError(
        absl::StrCat(key, " must have one value a channel (", channels, "); has ", values.size()));
  }
  for (const float value : values) {
    if (!std::isfinite(value)) {
      return absl::InvalidArgumentError(absl::StrCat(key, " must be finite; was ", value));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckResize(const ImageInputSpec& spec) {
  if (spec.resize_shorter && spec.resize_exact) {
    return absl::InvalidArgumentError("resize must be one number or [height, width]; both were given");
  }
  if (spec.resize_shorter) {
    RETURN_IF_ERROR(CheckSide("resize", *spec.resize_shorter));
    if (spec.crop == Crop::kNone) {
      return absl::InvalidArgumentError(
          absl::StrCat("crop: none needs resize: [height, width]; resize: ", *spec.resize_shorter,
                       " keeps each image's aspect ratio"));
    }
  }
  if (spec.resize_exact) {
    RETURN_IF_ERROR(CheckSide("resize height", spec.resize_exact->height));
    RETURN_IF_ERROR(CheckSide("resize width", spec.resize_exact->width));
    if (spec.crop == Crop::kNone && *spec.resize_exact != ImageSize{spec.height, spec.width}) {
      return absl::InvalidArgumentError(absl::StrCat("crop: none needs resize equal to size, [", spec.height,
                                                     ", ", spec.width, "]; was [", spec.resize_exact->height,
                                                     ", ", spec.resize_exact->width, "]"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ImageInputSpec::Validate() const {
  RETURN_IF_ERROR(CheckSide("size height", height));
  RETURN_IF_ERROR(CheckSide("size width", width));
  RETURN_IF_ERROR(CheckResize(*this));
  if (interpolation == Interpolation::kArea && transform != Transform::kOpenCv) {
    return absl::InvalidArgumentError("interpolation: area needs transform: opencv; was torchvision");
  }
  RETURN_IF_ERROR(CheckPerChannel("mean", mean, channels()));
  RETURN_IF_ERROR(CheckPerChannel("std", std, channels()));
  for (const float value : std) {
    if (!(value > 0)) return absl::InvalidArgumentError(absl::StrCat("std must be > 0; was ", value));
  }
  return absl::OkStatus();
}

}  // namespace calserve
