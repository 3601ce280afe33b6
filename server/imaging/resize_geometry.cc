#include "server/imaging/resize_geometry.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

// The length of an edge when the shorter one, `shorter`, becomes `target`. In double, as both originals
// compute it.
int64_t ScaledEdge(Transform transform, int edge, int shorter, int target) {
  if (transform == Transform::kTorchvision) {
    return static_cast<int64_t>(static_cast<double>(target) * edge /
                                shorter);  // torchvision: int(size * long / short)
  }
  const double scale = static_cast<double>(target) / shorter;
  // albumentations: max(1, round(edge * scale)); Python's round and nearbyint both go to even.
  return std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(edge * scale)));
}

// Where a centred window of `window` pixels starts in `edge` pixels.
int CentredOffset(Transform transform, int edge, int window) {
  if (edge < window) return -((window - edge) / 2);                 // both: floor to the upper left
  if (transform == Transform::kOpenCv) return (edge - window) / 2;  // albumentations: (edge - window) // 2
  return static_cast<int>(std::nearbyint((edge - window) / 2.0));   // torchvision: int(round(… / 2.0))
}

}  // namespace

absl::StatusOr<ResizeGeometry> PlanResize(const ImageInputSpec& spec, const ImageSize& image,
                                          int64_t max_pixels) {
  int64_t height = spec.height;
  int64_t width = spec.width;
  if (spec.resize_exact) {
    height = spec.resize_exact->height;
    width = spec.resize_exact->width;
  } else if (spec.resize_shorter) {
    const int shorter = std::min(image.height, image.width);
    height = ScaledEdge(spec.transform, image.height, shorter, *spec.resize_shorter);
    width = ScaledEdge(spec.transform, image.width, shorter, *spec.resize_shorter);
    if (height > max_pixels / width) {
      return absl::InvalidArgumentError(absl::StrCat(
          "image must have at most ", max_pixels, " pixels once its shorter edge is ", *spec.resize_shorter,
          "; ", image.width, " x ", image.height, " becomes ", width, " x ", height));
    }
  }
  ResizeGeometry geometry;
  geometry.resized = {static_cast<int>(height), static_cast<int>(width)};
  geometry.top = CentredOffset(spec.transform, geometry.resized.height, spec.height);
  geometry.left = CentredOffset(spec.transform, geometry.resized.width, spec.width);
  return geometry;
}

}  // namespace calserve
