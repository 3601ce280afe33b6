#include <exception>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "absl/strings/str_cat.h"
#include "server/imaging/resize.h"

namespace calserve::imaging_internal {
namespace {

int Flag(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::kBilinear:
      return cv::INTER_LINEAR;
    case Interpolation::kBicubic:
      return cv::INTER_CUBIC;
    case Interpolation::kNearest:
      return cv::INTER_NEAREST;
    case Interpolation::kArea:
      return cv::INTER_AREA;
  }
  return cv::INTER_LINEAR;
}

// A matrix over the image's own pixels, without a copy.
cv::Mat View(Image& image) {
  return cv::Mat(image.height, image.width, CV_8UC(image.channels), image.pixels.data());
}

}  // namespace

void UseOneOpenCvThread() { cv::setNumThreads(1); }

absl::StatusOr<Image> ResizeOpenCv(const Image& image, const ImageSize& size, Interpolation interpolation) {
  try {
    Image resized{size.height, size.width, image.channels, {}};
    resized.pixels.resize(static_cast<size_t>(size.height) * size.width * image.channels);
    cv::Mat out = View(resized);
    cv::resize(View(const_cast<Image&>(image)), out, out.size(), 0, 0, Flag(interpolation));
    return resized;
  } catch (const std::exception& e) {  // cv::Exception is one
    return absl::InternalError(absl::StrCat("OpenCV could not resize an image: ", e.what()));
  }
}

}  // namespace calserve::imaging_internal
