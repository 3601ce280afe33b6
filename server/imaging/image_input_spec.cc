#include "server/imaging/image_input_spec.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace calserve {
namespace {

using Problems = std::vector<ImageInputSpec::Problem>;

void CheckSide(absl::string_view key, absl::string_view name, int side, Problems* problems) {
  if (side >= 1 && side <= ImageInputSpec::kMaxSide) return;
  problems->push_back(
      {{key}, absl::StrCat(name, "must be from 1 to ", ImageInputSpec::kMaxSide, " pixels; was ", side)});
}

// The first values, one a channel, that break a rule; values beyond these are too many by another one.
template <typename Predicate>
std::vector<float> Among(const std::vector<float>& values, int channels, Predicate breaks_rule) {
  std::vector<float> found;
  const size_t count = std::min(values.size(), static_cast<size_t>(channels));
  std::copy_if(values.begin(), values.begin() + count, std::back_inserter(found), breaks_rule);
  return found;
}

void CheckPerChannel(absl::string_view key, const std::vector<float>& values, int channels,
                     Problems* problems) {
  if (!values.empty() && values.size() != static_cast<size_t>(channels)) {
    problems->push_back(
        {{key, "color"},
         absl::StrCat("must have one value a channel (", channels, "); has ", values.size())});
  }
  const std::vector<float> wrong = Among(values, channels, [](float value) { return !std::isfinite(value); });
  if (!wrong.empty()) {
    problems->push_back({{key}, absl::StrCat("must be finite; was ", absl::StrJoin(wrong, ", "))});
  }
}

void CheckResize(const ImageInputSpec& spec, Problems* problems) {
  if (spec.resize_shorter && spec.resize_exact) {
    problems->push_back({{"resize"}, "must be one number or [height, width]; both were given"});
  }
  if (spec.resize_shorter) CheckSide("resize", "", *spec.resize_shorter, problems);
  if (spec.resize_exact) {
    CheckSide("resize", "height ", spec.resize_exact->height, problems);
    CheckSide("resize", "width ", spec.resize_exact->width, problems);
  }
  if (spec.crop != Crop::kNone) return;
  if (spec.resize_shorter) {
    problems->push_back({{"crop", "resize"},
                         absl::StrCat("must be center: none needs resize: [height, width]; resize: ",
                                      *spec.resize_shorter, " keeps each image's aspect ratio")});
  }
  if (spec.resize_exact && *spec.resize_exact != ImageSize{spec.height, spec.width}) {
    problems->push_back(
        {{"crop", "resize", "size"},
         absl::StrCat("must be center: none needs resize equal to size, [", spec.height, ", ", spec.width,
                      "]; was [", spec.resize_exact->height, ", ", spec.resize_exact->width, "]")});
  }
}

}  // namespace

std::vector<ImageInputSpec::Problem> ImageInputSpec::Problems() const {
  std::vector<Problem> problems;
  CheckSide("size", "height ", height, &problems);
  CheckSide("size", "width ", width, &problems);
  CheckResize(*this, &problems);
  if (interpolation == Interpolation::kArea && transform != Transform::kOpenCv) {
    problems.push_back(
        {{"interpolation", "transform"},
         "must be bilinear, bicubic or nearest: area needs transform: opencv; was torchvision"});
  }
  CheckPerChannel("mean", mean, channels(), &problems);
  CheckPerChannel("std", std, channels(), &problems);
  const std::vector<float> wrong = Among(std, channels(), [](float value) { return value <= 0; });
  if (!wrong.empty()) {
    problems.push_back({{"std"}, absl::StrCat("must be > 0; was ", absl::StrJoin(wrong, ", "))});
  }
  return problems;
}

absl::Status ImageInputSpec::Validate() const {
  const std::vector<Problem> problems = Problems();
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(problems[0].keys[0], " ", problems[0].what));
}

}  // namespace calserve
