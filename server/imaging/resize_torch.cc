// The only file of this room that includes LibTorch: it takes half a minute to compile.
#include <ATen/core/Tensor.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <exception>

#include "absl/strings/str_cat.h"
#include "server/imaging/resize.h"

namespace calserve::imaging_internal {
namespace {

// A 1×C×H×W view of H×W×C pixels, without a copy.
at::Tensor View(Image& image) {
  const int64_t c = image.channels, h = image.height, w = image.width;
  return at::from_blob(image.pixels.data(), {1, c, h, w}, {h * w * c, 1, w * c, c},
                       at::TensorOptions(at::kByte));
}

}  // namespace

absl::StatusOr<Image> ResizeTorchvision(const Image& image, const ImageSize& size,
                                        Interpolation interpolation) {
  try {
    // The antialiased kernels of uint8 work on the calling thread where the CPU has AVX2; kNearest, and CPUs
    // without it, may use LibTorch's intra-op threads, whose number is the process's and the model room's to
    // set.
    const c10::InferenceMode no_autograd;
    Image resized{size.height, size.width, image.channels, {}};
    resized.pixels.resize(static_cast<size_t>(size.height) * size.width * image.channels);
    const at::Tensor in = View(const_cast<Image&>(image));  // read only
    at::Tensor out = View(resized);
    const int64_t to[] = {size.height, size.width};
    switch (interpolation) {
      case Interpolation::kBilinear:
        at::_upsample_bilinear2d_aa_out(out, in, to, /*align_corners=*/false);
        return resized;
      case Interpolation::kBicubic:
        at::_upsample_bicubic2d_aa_out(out, in, to, /*align_corners=*/false);
        return resized;
      case Interpolation::kNearest:
        at::upsample_nearest2d_out(out, in, to);
        return resized;
      case Interpolation::kArea:
        break;  // refused by ImageInputSpec::Validate
    }
    return absl::InternalError("torchvision has no area interpolation");
  } catch (const c10::Error& e) {
    return absl::InternalError(
        absl::StrCat("LibTorch could not resize an image: ", e.what_without_backtrace()));
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("LibTorch could not resize an image: ", e.what()));
  }
}

}  // namespace calserve::imaging_internal
