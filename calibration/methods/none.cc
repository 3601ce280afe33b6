// p = softmax(z).

#include "calibration/methods/methods.h"
#include "calibration/softmax.h"

namespace calserve {
namespace {

class Softmax final : public ProbabilityMap {
 public:
  void Apply(absl::Span<double> row) const override { SoftmaxInPlace(1, row); }
};

std::unique_ptr<const ProbabilityMap> Read(int, ParameterReader*) { return std::make_unique<Softmax>(); }

absl::StatusOr<Fitted> Fit(const LabelledRows& data, const FitProgress&) {
  Fitted fitted;
  fitted.spec.classes = data.logits.classes();
  return fitted;
}

}  // namespace

Method NoneMethod() {
  return {.id = CalibrationMethod::kNone,
          .name = "none",
          .two_classes_only = false,
          .on_more_classes = CalibrationMethod::kNone,
          .keeps_prediction = true,
          .read = Read,
          .fit = Fit};
}

}  // namespace calserve
