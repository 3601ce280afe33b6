#include "calibration/calibrator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "calibration/class_order.h"
#include "calibration/method.h"
#include "calibration/parameter_reader.h"

namespace calserve {
namespace {

constexpr char kAutoName[] = "auto";

template <typename Float>
int PredictedClassOf(absl::Span<const float> probabilities, absl::Span<const Float> logits) {
  const MoreProbable<Float> more_probable(probabilities, logits);
  size_t best = 0;
  for (size_t k = 1; k < probabilities.size(); ++k) {
    if (more_probable(k, best)) best = k;
  }
  return static_cast<int>(best);
}

absl::Status CheckSetThresholds(absl::Span<const SetThreshold> thresholds) {
  if (thresholds.size() > kMaxSetThresholds) {
    return absl::InvalidArgumentError(absl::StrCat("a calibrator may have ", kMaxSetThresholds,
                                                   " set thresholds; has ", thresholds.size()));
  }
  for (size_t i = 0; i < thresholds.size(); ++i) {
    const SetThreshold& t = thresholds[i];
    const std::string name =
        absl::StrCat("set threshold ", i, " (", ScoreName(t.score), ", alpha ", t.alpha, ")");
    if (!(t.alpha > 0 && t.alpha < 1)) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": alpha must be in (0, 1)"));
    }
    if (!(t.threshold >= 0 && std::isfinite(t.threshold))) {
      return absl::InvalidArgumentError(absl::StrCat(name, " must be finite and >= 0; was ", t.threshold));
    }
    if (t.n < 1) return absl::InvalidArgumentError(absl::StrCat(name, ": n must be >= 1; was ", t.n));
    for (size_t j = 0; j < i; ++j) {
      if (thresholds[j].score == t.score && thresholds[j].alpha == t.alpha) {
        return absl::InvalidArgumentError(absl::StrCat(name, " is there twice"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string MethodName(CalibrationMethod id) {
  if (id == CalibrationMethod::kAuto) return kAutoName;
  const Method* const method = FindMethod(id);
  return method != nullptr ? method->name : absl::StrCat("method ", static_cast<int>(id));
}

absl::StatusOr<CalibrationMethod> ParseMethod(const std::string& name) {
  if (name == kAutoName) return CalibrationMethod::kAuto;
  std::string names;
  for (const Method& method : AllMethods()) {
    if (method.name == name) return method.id;
    absl::StrAppend(&names, names.empty() ? "" : ", ", method.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("method must be one of ", names, " or auto; was \"", name, "\""));
}

Calibrator::Calibrator(CalibratorSpec spec, std::shared_ptr<const ProbabilityMap> map)
    : spec_(std::move(spec)), map_(std::move(map)) {}

Calibrator Calibrator::None(int classes) { return Create({CalibrationMethod::kNone, classes, {}}).value(); }

absl::StatusOr<Calibrator> Calibrator::Create(CalibratorSpec spec) {
  if (spec.classes < 2)
    return absl::InvalidArgumentError(absl::StrCat("classes must be >= 2; was ", spec.classes));
  const Method* const method = FindMethod(spec.method);
  if (method == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("no calibrator has method ", MethodName(spec.method)));
  }
  if (absl::Status status = CheckClassesOf(*method, spec.classes); !status.ok()) return status;
  if (absl::Status status = CheckSetThresholds(spec.set_thresholds); !status.ok()) return status;
  ParameterReader reader(spec);
  std::shared_ptr<const ProbabilityMap> map = method->read(spec.classes, &reader);
  if (absl::Status status = reader.Finish(); !status.ok()) return status;
  return Calibrator(std::move(spec), std::move(map));
}

template <typename Float>
absl::Status Calibrator::ApplyAny(absl::Span<const Float> logits, absl::Span<float> probabilities) const {
  const size_t classes = static_cast<size_t>(spec_.classes);
  const bool single = logits.size() == 1 && classes == 2;
  if (logits.size() != classes && !single) {
    return absl::InvalidArgumentError(
        absl::StrCat("logits must have ", classes, " values; have ", logits.size()));
  }
  if (probabilities.size() != classes) {
    return absl::InvalidArgumentError(
        absl::StrCat("probabilities must have room for ", classes, " values; has ", probabilities.size()));
  }
  constexpr double kMaxLogit = std::numeric_limits<float>::max();
  for (size_t k = 0; k < logits.size(); ++k) {
    if (!(std::abs(static_cast<double>(logits[k])) <= kMaxLogit)) {
      return absl::InvalidArgumentError(
          absl::StrCat("logits[", k, "] must be finite and within float32; was ", logits[k]));
    }
  }

  std::vector<double> row(classes);  // a single logit z is (0, z)
  std::copy(logits.begin(), logits.end(), row.begin() + (single ? 1 : 0));
  map_->Apply(absl::MakeSpan(row));
  for (size_t k = 0; k < classes; ++k) probabilities[k] = static_cast<float>(row[k]);
  return absl::OkStatus();
}

absl::Status Calibrator::Apply(absl::Span<const float> logits, absl::Span<float> probabilities) const {
  return ApplyAny(logits, probabilities);
}

absl::Status Calibrator::ApplyFloat64(absl::Span<const double> logits,
                                      absl::Span<float> probabilities) const {
  return ApplyAny(logits, probabilities);
}

int Calibrator::PredictedClass(absl::Span<const float> probabilities, absl::Span<const float> logits) {
  return PredictedClassOf(probabilities, logits);
}

int Calibrator::PredictedClassFloat64(absl::Span<const float> probabilities,
                                      absl::Span<const double> logits) {
  return PredictedClassOf(probabilities, logits);
}

}  // namespace calserve
