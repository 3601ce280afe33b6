#ifndef CALSERVE_SERVER_IMAGING_RESIZE_H_
#define CALSERVE_SERVER_IMAGING_RESIZE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/imaging/decoder.h"
#include "server/imaging/image_input_spec.h"

// One library a file, for preprocessor.cc only. Thread-safe. Both round to uint8.
namespace calserve::imaging_internal {

// LibTorch's kernels, antialiased for kBilinear and kBicubic: torchvision v2's resize of a uint8 image.
absl::StatusOr<Image> ResizeTorchvision(const Image& image, const ImageSize& size,
                                        Interpolation interpolation);

// Makes cv::resize run on the calling thread only; call it once before ResizeOpenCv.
void UseOneOpenCvThread();
// cv::resize.
absl::StatusOr<Image> ResizeOpenCv(const Image& image, const ImageSize& size, Interpolation interpolation);

}  // namespace calserve::imaging_internal

#endif  // CALSERVE_SERVER_IMAGING_RESIZE_H_
