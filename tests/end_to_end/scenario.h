#ifndef CALSERVE_TESTS_END_TO_END_SCENARIO_H_
#define CALSERVE_TESTS_END_TO_END_SCENARIO_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "tests/end_to_end/api.h"

// The verbs that the tests share: predict real images of the demo model, label them, wait for their report.
namespace calserve::e2e {

inline constexpr char kModel[] = "fashion_mnist";

v1::PredictRequest ImageRequest(const std::vector<std::string>& encoded_images);
v1::PredictRequest TensorRequest(const std::vector<std::string>& tensors);
// Test images `begin` to `begin + count` as tensors.
v1::PredictRequest TestTensorRequest(int begin, int count);

// A prediction whose true class is known.
struct Labelled {
  std::string prediction_id, ticket;
  int label = 0;
  bool correct = false;
  float confidence = 0;
};

// Predicts `count` real test images from `begin` on (again from the first after the last), 32 a call. Throws
// if a call fails.
std::vector<Labelled> PredictTestImages(const Api& api, int begin, int count);

v1::FeedbackItem Item(const std::string& ticket, int label);
v1::SubmitFeedbackRequest FeedbackRequest(absl::Span<const Labelled> predictions,
                                          const std::string& source = "");
// Submits, and throws unless every item was accepted or counted before.
void Label(const Api& api, absl::Span<const Labelled> predictions);
std::vector<v1::FeedbackOutcome> Outcomes(const v1::SubmitFeedbackResponse& response);

v1::GetCalibrationReportRequest WindowRequest(int64_t calibrator_version,
                                              const std::string& window = "last_10000");
// The report of a window once it has `n` labels and the server has caught up; the newest after `timeout`.
v1::WindowReport WaitForLabels(const Api& api, int64_t calibrator_version, int64_t n,
                               const std::string& window = "last_10000",
                               absl::Duration timeout = absl::Seconds(20));

// Runs FitCalibrator to its end: the calibrator, or why there is none.
Reply<v1::Calibrator> Fit(const Api& api, const v1::FitSpecification& specification,
                          const std::vector<v1::LabelledExample>& examples = {});
v1::FitSpecification StoredFit(v1::CalibrationMethod method);
v1::FitSpecification UploadedFit(v1::CalibrationMethod method);
v1::ActivateCalibratorRequest ActivateRequest(int64_t version, int64_t expected);

}  // namespace calserve::e2e

#endif  // CALSERVE_TESTS_END_TO_END_SCENARIO_H_
