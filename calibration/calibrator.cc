#include "calibration/calibrator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "calibration/class_order.h"
#include "calibration/row_kernels.h"
#include "calibration/softmax.h"

namespace calserve {
namespace {

// Beyond these a product with a float32 logit could overflow to 0 · infinity.
constexpr double kMinTemperature = 1e-6;
constexpr double kMaxTemperature = 1e6;

struct NamedMethod {
  CalibrationMethod method;
  const char* name;
};
constexpr NamedMethod kMethods[] = {
    {CalibrationMethod::kNone, "none"},
    {CalibrationMethod::kTemperature, "temperature"},
    {CalibrationMethod::kPlatt, "platt"},
    {CalibrationMethod::kPlattOneVsRest, "platt_one_vs_rest"},
};

// Takes the parameter `name` out of `parameters`; it must be there, with `length` finite values.
absl::StatusOr<std::vector<double>> Take(const std::string& name, size_t length,
                                         std::vector<CalibratorSpec::Parameter>* parameters) {
  const auto found = std::find_if(parameters->begin(), parameters->end(),
                                  [&](const CalibratorSpec::Parameter& p) { return p.name == name; });
  if (found == parameters->end())
    return absl::InvalidArgumentError(absl::StrCat("parameter ", name, " is missing"));
  std::vector<double> values = std::move(found->values);
  parameters->erase(found);
  if (values.size() != length) {
    return absl::InvalidArgumentError(
        absl::StrCat("parameter ", name, " must have ", length, " values; has ", values.size()));
  }
  for (size_t i = 0; i < length; ++i) {
    if (!std::isfinite(values[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("parameter ", name, "[", i, "] must be finite; was ", values[i]));
    }
  }
  return values;
}

// Each side from its own exponential: 1 - p would lose a small p.
void PlattBinary(double slope, double offset, absl::Span<double> row) {
  const double t = slope * (row[1] - row[0]) + offset;
  row[0] = LogisticOfMinus(-t);
  row[1] = LogisticOfMinus(t);
}

// p_k = 1 / (1 + exp(A_k f_k + B_k)) with f = log_softmax(z), divided by their sum.
void OneVsRest(absl::Span<const double> slopes, absl::Span<const double> offsets, absl::Span<double> row) {
  LogSoftmaxInPlace(row);
  std::vector<double> exponent(row.size());
  for (size_t k = 0; k < row.size(); ++k) {
    row[k] = slopes[k] * row[k] + offsets[k];
    exponent[k] = -std::abs(row[k]);
  }
  ExpOfNonPositive(absl::MakeSpan(exponent));
  for (size_t k = 0; k < row.size(); ++k) row[k] = (row[k] > 0 ? exponent[k] : 1) / (1 + exponent[k]);
  const double sum = Sum(row);
  for (double& p : row) p = sum > 0 ? p / sum : 1.0 / static_cast<double>(row.size());
}

template <typename Float>
int PredictedClassOf(absl::Span<const float> probabilities, absl::Span<const Float> logits) {
  const MoreProbable<Float> more_probable(probabilities, logits);
  size_t best = 0;
  for (size_t k = 1; k < probabilities.size(); ++k) {
    if (more_probable(k, best)) best = k;
  }
  return static_cast<int>(best);
}

}  // namespace

std::string MethodName(CalibrationMethod method) {
  for (const NamedMethod& named : kMethods) {
    if (named.method == method) return named.name;
  }
  return absl::StrCat("method ", static_cast<int>(method));
}

absl::StatusOr<CalibrationMethod> ParseMethod(const std::string& name) {
  for (const NamedMethod& named : kMethods) {
    if (named.name == name) return named.method;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("method must be none, temperature, platt or platt_one_vs_rest; was \"", name, "\""));
}

Calibrator::Calibrator(CalibratorSpec spec) : spec_(std::move(spec)) {}

Calibrator Calibrator::None(int classes) {
  CalibratorSpec spec;
  spec.classes = classes;
  return Calibrator(std::move(spec));
}

absl::StatusOr<Calibrator> Calibrator::Create(CalibratorSpec spec) {
  if (spec.classes < 2)
    return absl::InvalidArgumentError(absl::StrCat("classes must be >= 2; was ", spec.classes));
  std::vector<CalibratorSpec::Parameter> left = spec.parameters;
  Calibrator calibrator(std::move(spec));
  const absl::Status unpacked = calibrator.Unpack(&left);
  if (!unpacked.ok()) return unpacked;
  if (!left.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("method ", MethodName(calibrator.spec_.method),
                                                   " has no parameter ", left.front().name));
  }
  return calibrator;
}

absl::Status Calibrator::Unpack(std::vector<CalibratorSpec::Parameter>* left) {
  switch (spec_.method) {
    case CalibrationMethod::kNone:
      return absl::OkStatus();
    case CalibrationMethod::kTemperature:
      return UnpackTemperature(left);
    case CalibrationMethod::kPlatt:
      if (spec_.classes == 2) return UnpackPlatt(1, left);
      return absl::InvalidArgumentError(
          absl::StrCat("platt needs 2 classes; was ", spec_.classes, ": use platt_one_vs_rest"));
    case CalibrationMethod::kPlattOneVsRest:
      return UnpackPlatt(static_cast<size_t>(spec_.classes), left);
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown ", MethodName(spec_.method)));
}

absl::Status Calibrator::UnpackTemperature(std::vector<CalibratorSpec::Parameter>* left) {
  const absl::StatusOr<std::vector<double>> temperature = Take("temperature", 1, left);
  if (!temperature.ok()) return temperature.status();
  const double t = temperature->front();
  if (t < kMinTemperature || t > kMaxTemperature) {
    return absl::InvalidArgumentError(absl::StrCat("parameter temperature must be in [1e-6, 1e6]; was ", t));
  }
  inverse_temperature_ = 1 / t;
  if (std::none_of(left->begin(), left->end(), [](const auto& p) { return p.name == "epsilon"; })) {
    return absl::OkStatus();
  }
  const absl::StatusOr<std::vector<double>> epsilon = Take("epsilon", 1, left);
  if (!epsilon.ok()) return epsilon.status();
  epsilon_ = epsilon->front();
  if (epsilon_ < 0 || epsilon_ >= 1) {
    return absl::InvalidArgumentError(absl::StrCat("parameter epsilon must be in [0, 1); was ", epsilon_));
  }
  return absl::OkStatus();
}

absl::Status Calibrator::UnpackPlatt(size_t length, std::vector<CalibratorSpec::Parameter>* left) {
  absl::StatusOr<std::vector<double>> slopes = Take("slope", length, left);
  if (!slopes.ok()) return slopes.status();
  absl::StatusOr<std::vector<double>> offsets = Take("offset", length, left);
  if (!offsets.ok()) return offsets.status();
  slopes_ = *std::move(slopes);
  offsets_ = *std::move(offsets);
  return absl::OkStatus();
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
  switch (spec_.method) {
    case CalibrationMethod::kNone:
    case CalibrationMethod::kTemperature:
      SoftmaxInPlace(inverse_temperature_, absl::MakeSpan(row));
      if (epsilon_ > 0) {
        for (double& p : row) p = (1 - epsilon_) * p + epsilon_ / spec_.classes;
      }
      break;
    case CalibrationMethod::kPlatt:
      PlattBinary(slopes_[0], offsets_[0], absl::MakeSpan(row));
      break;
    case CalibrationMethod::kPlattOneVsRest:
      OneVsRest(slopes_, offsets_, absl::MakeSpan(row));
      break;
  }
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
