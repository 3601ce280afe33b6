// The calibration library alone: no server, no gRPC.
#include <iostream>
#include <vector>

#include "calibration/fit.h"
#include "calibration/rolling_windows.h"

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
  return fit->report.after.ece < 0.001 ? 0 : 1;
}
