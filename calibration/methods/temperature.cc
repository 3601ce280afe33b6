// p = (1 - e) softmax(z / T) + e / K                                                     (Guo et al., 2017)
//
// The epsilon-mix is on only where the fit stops at the lowest temperature. Every other fit stays plain
// temperature scaling, comparable with other packages.

#include <algorithm>

#include "calibration/methods/epsilon_mix.h"
#include "calibration/methods/methods.h"
#include "calibration/methods/read_temperature.h"
#include "calibration/softmax.h"
#include "calibration/temperature_fit.h"

namespace calserve {
namespace {

class TemperatureMap final : public ProbabilityMap {
 public:
  TemperatureMap(double temperature, double epsilon)
      : inverse_temperature_(1 / temperature), epsilon_(epsilon) {}

  void Apply(absl::Span<double> row) const override {
    SoftmaxInPlace(inverse_temperature_, row);
    MixInUniform(epsilon_, row);
  }

 private:
  const double inverse_temperature_, epsilon_;
};

std::unique_ptr<const ProbabilityMap> Read(int, ParameterReader* reader) {
  const double temperature = ReadTemperature(reader);
  return std::make_unique<TemperatureMap>(temperature, ReadEpsilon(reader));
}

absl::StatusOr<Fitted> Fit(const LabelledRows& data, const FitProgress& progress) {
  constexpr double kExpectedPasses = 4;
  double passes = 0;
  const TemperatureFit fit =
      FitTemperature(data, [&] { return progress(std::min(1.0, passes++ / kExpectedPasses)); });
  if (fit.cancelled) return FitCancelled();
  Fitted fitted;
  fitted.spec = {
      CalibrationMethod::kTemperature, data.logits.classes(), {{"temperature", {fit.temperature}}}};
  if (fit.bound == TemperatureFit::Bound::kLow) {
    fitted.spec.parameters.push_back({"epsilon", {EpsilonOf(data.size())}});
  }
  fitted.converged = fit.converged;
  fitted.iterations = fit.iterations;
  fitted.at_bound = fit.bound != TemperatureFit::Bound::kNone;
  return fitted;
}

}  // namespace

Method TemperatureMethod() {
  return {.id = CalibrationMethod::kTemperature,
          .name = "temperature",
          .two_classes_only = false,
          .on_more_classes = CalibrationMethod::kTemperature,
          .keeps_prediction = true,
          .read = Read,
          .fit = Fit};
}

}  // namespace calserve
