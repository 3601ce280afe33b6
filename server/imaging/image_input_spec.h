#ifndef CALSERVE_SERVER_IMAGING_IMAGE_INPUT_SPEC_H_
#define CALSERVE_SERVER_IMAGING_IMAGE_INPUT_SPEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace calserve {

// What the channels of the model's input mean, in their order.
enum class Color { kGrey, kRgb, kBgr };

// Whose arithmetic resizes and crops: that of the library the model was trained with.
//   kTorchvision  torchvision.transforms.v2 on uint8 images, antialias=True
//   kOpenCv       cv2.resize, with albumentations' SmallestMaxSize and CenterCrop
enum class Transform { kTorchvision, kOpenCv };

// How a resized image larger or smaller than the input becomes the input: the centre is cut out, and what is
// missing is padded with zero pixels on both sides. kNone: the resize alone must give the input's size.
enum class Crop { kCenter, kNone };

// kArea is OpenCV's alone. kBilinear and kBicubic are antialiased with torchvision and are not with OpenCV.
enum class Interpolation { kBilinear, kBicubic, kNearest, kArea };

struct ImageSize {
  int height = 0;
  int width = 0;
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

// How an image becomes a model's input: the `input` section of model.yaml. A value.
//
// The steps, in this order: decode to `color`, resize, crop, scale, normalise, store as C×H×W float32.
struct ImageInputSpec {
  int height = 0;  // pixels of the model's input, 1 to kMaxSide
  int width = 0;
  Color color = Color::kRgb;
  Transform transform = Transform::kTorchvision;

  // At most one of the two. Neither: resized to exactly height×width, whatever the image's aspect ratio.
  std::optional<int> resize_shorter;      // the shorter edge in pixels; the aspect ratio is kept
  std::optional<ImageSize> resize_exact;  // exactly this size

  Crop crop = Crop::kCenter;
  Interpolation interpolation = Interpolation::kBilinear;

  bool scale_to_unit = true;  // pixel / 255; false keeps 0 to 255
  // One value a channel, in the order of `color`, on the scaled pixel: (pixel - mean) / std. Empty: 0 and 1.
  std::vector<float> mean;
  std::vector<float> std;

  static constexpr int kMaxSide = 16384;  // 16384 x 16384 x 3 floats is 3.2 GB: above it lies a typing error

  int channels() const { return color == Color::kGrey ? 1 : 3; }
  int64_t output_size() const { return static_cast<int64_t>(channels()) * height * width; }

  // A rule that is broken.
  struct Problem {
    std::vector<absl::string_view> keys;  // of model.yaml, that the rule is about; the first is to be mended
    std::string what;                     // "must be ...; was ..."
  };
  // All of them.
  std::vector<Problem> Problems() const;
  // The first of them, as INVALID_ARGUMENT with its key.
  absl::Status Validate() const;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_IMAGING_IMAGE_INPUT_SPEC_H_
