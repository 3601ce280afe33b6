// The predicted class gets g(log-odds of its softmax), the others share the rest as before; g never falls and
// is the least-squares fit to whether the prediction was right.

#include <utility>

#include "calibration/methods/isotonic_curve.h"
#include "calibration/methods/log_odds.h"
#include "calibration/methods/methods.h"
#include "calibration/methods/top_label.h"

namespace calserve {
namespace {

class TopLabelMap final : public ProbabilityMap {
 public:
  explicit TopLabelMap(IsotonicCurve curve) : curve_(std::move(curve)) {}

  void Apply(absl::Span<double> row) const override { SpreadConfidence(curve_.At(TopLogOdds(row)), row); }

 private:
  const IsotonicCurve curve_;
};

std::unique_ptr<const ProbabilityMap> Read(int, ParameterReader* reader) {
  std::vector<IsotonicCurve> curves = ReadIsotonic(1, reader);
  if (curves.empty()) return nullptr;
  return std::make_unique<TopLabelMap>(std::move(curves.front()));
}

absl::StatusOr<Fitted> Fit(const LabelledRows& data, const FitProgress& progress) {
  const TopLabels labels = TopLabelsOf(data);
  if (!progress(0.7)) return FitCancelled();
  Fitted fitted;
  fitted.spec = {CalibrationMethod::kTopLabelIsotonic, data.logits.classes(), {}};
  fitted.iterations = 1;
  WriteIsotonic({FitIsotonic(labels.scores, labels.correct)}, &fitted.spec.parameters);
  return fitted;
}

}  // namespace

Method TopLabelIsotonicMethod() {
  return {.id = CalibrationMethod::kTopLabelIsotonic,
          .name = "top_label_isotonic",
          .two_classes_only = false,
          .on_more_classes = CalibrationMethod::kTopLabelIsotonic,
          .keeps_prediction = true,
          .read = Read,
          .fit = Fit};
}

}  // namespace calserve
