// The calibration library alone: no server, no gRPC.
#include <iostream>
#include <vector>

#include "calibration/conformal.h"
#include "calibration/fit.h"
#include "calibration/method.h"
#include "calibration/metrics/detailed_metrics.h"
#include "calibration/rolling_windows.h"

namespace {

// Every method that three classes have: fitted, applied to the rows left out, and measured.
int MeasureMethods() {
  std::vector<float> logits;
  std::vector<int32_t> labels;
  for (int i = 0; i < 300; ++i) {  // class i % 3, but every fourth label is another
    for (int k = 0; k < 3; ++k) logits.push_back(k == i % 3 ? 4 + 0.01f * static_cast<float>(i % 7) : 0);
    labels.push_back(i % 4 == 0 ? (i + 1) % 3 : i % 3);
  }
  const calserve::LogitsView view(absl::MakeConstSpan(logits), 3);
  for (const calserve::Method& method : calserve::AllMethods()) {
    calserve::DetailedAccumulator details;
    const absl::Status visited =
        calserve::VisitOutOfFold(method.id, view, labels, {}, [&](const calserve::AppliedRow& row) {
          details.Add(row.probabilities[static_cast<size_t>(row.predicted)], row.predicted == row.label);
          details.AddProbabilities(row.probabilities, row.label);
        });
    if (!visited.ok()) return std::cerr << method.name << ": " << visited << "\n", 1;
    const auto metrics = details.Metrics();
    if (!metrics.ok() || metrics->n != 300) return std::cerr << method.name << " lost rows\n", 1;
    std::cout << method.name << " smooth ECE " << metrics->smooth_ece << "\n";
  }
  const auto threshold = calserve::FitConformalThreshold(calserve::ConformalScore::kThr,
                                                         calserve::Calibrator::None(3), view, labels, 0.1);
  return threshold.ok() ? 0 : 1;
}

}  // namespace

int main() {
  std::vector<float> logits;
  std::vector<int32_t> labels;
  for (int i = 0; i < 100; ++i) {  // right 80 times of 100, and always nearly certain of it
    logits.insert(logits.end(), {5.0f, 0.0f});
    labels.push_back(i % 5 == 0);
  }
  const calserve::LogitsView view(absl::MakeConstSpan(logits), 2);
  const auto fit = calserve::FitCalibrator(calserve::CalibrationMethod::kTemperature, view, labels);
  if (!fit.ok()) return std::cerr << fit.status() << "\n", 1;
  std::cout << "ECE " << fit->report.before.ece << " to " << fit->report.after.ece << "\n";
  if (fit->report.after.ece >= 0.001) return 1;
  return MeasureMethods();
}
