#include "calibration/set_alphas.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "calibration/set_threshold.h"

namespace calserve {

absl::Status CheckSetAlphas(absl::Span<const double> alphas) {
  constexpr size_t kMost = kMaxSetThresholds / 2;
  if (alphas.size() > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat("set_alphas may have ", kMost, " values; has ", alphas.size()));
  }
  for (size_t i = 0; i < alphas.size(); ++i) {
    if (!(alphas[i] > 0 && alphas[i] < 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat("set_alphas must be in (0, 1); was ", SetAlphaText(alphas[i])));
    }
    const auto same = [&](double alpha) { return std::abs(alpha - alphas[i]) <= kSameSetAlpha; };
    if (std::any_of(alphas.begin(), alphas.begin() + i, same)) {
      return absl::InvalidArgumentError(absl::StrCat("set_alphas has ", SetAlphaText(alphas[i]), " twice"));
    }
  }
  return absl::OkStatus();
}

std::string SetAlphaText(double alpha) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof(text), alpha).ptr);
}

}  // namespace calserve
