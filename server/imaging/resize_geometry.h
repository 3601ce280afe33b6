#ifndef CALSERVE_SERVER_IMAGING_RESIZE_GEOMETRY_H_
#define CALSERVE_SERVER_IMAGING_RESIZE_GEOMETRY_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "server/imaging/image_input_spec.h"

namespace calserve {

// Where the model's input lies in the resized image: input (y, x) = resized (y + top, x + left), and zero
// where that is outside. Negative offsets pad.
struct ResizeGeometry {
  ImageSize resized;
  int top = 0;
  int left = 0;
};

// The rules of the library in spec.transform, rounding included. `spec` is valid, `image` at least 1×1.
// Keeping the aspect ratio makes a long edge of any length of a very long image: INVALID_ARGUMENT where the
// resized image would have more than max_pixels.
absl::StatusOr<ResizeGeometry> PlanResize(const ImageInputSpec& spec, const ImageSize& image,
                                          int64_t max_pixels);

}  // namespace calserve

#endif  // CALSERVE_SERVER_IMAGING_RESIZE_GEOMETRY_H_
