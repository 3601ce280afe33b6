#include "tests/end_to_end/scenario.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "absl/time/clock.h"
#include "tests/end_to_end/test_images.h"

namespace calserve::e2e {
namespace {

constexpr int kBatch = 32;              // max_batch_size of the demo model
constexpr int kFeedbackBatch = 10'000;  // items that one request may have

void ThrowUnlessOk(const CallStatus& status) {
  if (status.ok()) return;
  std::ostringstream text;
  text << status;
  throw std::runtime_error(text.str());
}

}  // namespace

v1::PredictRequest ImageRequest(const std::vector<std::string>& encoded_images) {
  v1::PredictRequest request;
  request.set_model(kModel);
  for (const std::string& image : encoded_images) request.add_inputs()->set_encoded_image(image);
  return request;
}

v1::PredictRequest TensorRequest(const std::vector<std::string>& tensors) {
  v1::PredictRequest request;
  request.set_model(kModel);
  for (const std::string& data : tensors) {
    v1::Tensor& tensor = *request.add_inputs()->mutable_tensor();
    tensor.set_data_type(v1::DATA_TYPE_FLOAT32);
    for (const int64_t size : {1, kImageSide, kImageSide}) tensor.add_shape(size);
    tensor.set_data(data);
  }
  return request;
}

v1::PredictRequest TestTensorRequest(int begin, int count) {
  const TestImages& images = TestImages::Get();
  std::vector<std::string> tensors;
  for (int i = begin; i < begin + count; ++i) tensors.push_back(images.Tensor(i % images.size()));
  return TensorRequest(tensors);
}

std::vector<Labelled> PredictTestImages(const Api& api, int begin, int count) {
  const TestImages& images = TestImages::Get();
  std::vector<Labelled> predictions;
  for (int first = begin; first < begin + count; first += kBatch) {
    const auto reply = api.Predict(TestTensorRequest(first, std::min(kBatch, begin + count - first)));
    ThrowUnlessOk(reply.status);
    for (const v1::Prediction& prediction : reply->predictions()) {
      Labelled& labelled = predictions.emplace_back();
      labelled.prediction_id = prediction.prediction_id();
      labelled.ticket = prediction.ticket();
      labelled.label = images.label((begin + static_cast<int>(predictions.size()) - 1) % images.size());
      labelled.correct = prediction.top_classes(0).index() == labelled.label;
      labelled.confidence = prediction.confidence();
    }
  }
  return predictions;
}

v1::FeedbackItem Item(const std::string& ticket, int label) {
  v1::FeedbackItem item;
  item.set_ticket(ticket);
  item.set_class_index(label);
  return item;
}

v1::SubmitFeedbackRequest FeedbackRequest(absl::Span<const Labelled> predictions, const std::string& source) {
  v1::SubmitFeedbackRequest request;
  request.set_source(source);
  for (const Labelled& labelled : predictions) *request.add_items() = Item(labelled.ticket, labelled.label);
  return request;
}

void Label(const Api& api, absl::Span<const Labelled> predictions) {
  for (size_t begin = 0; begin < predictions.size(); begin += kFeedbackBatch) {
    const auto reply = api.SubmitFeedback(FeedbackRequest(predictions.subspan(begin, kFeedbackBatch)));
    ThrowUnlessOk(reply.status);
    for (const v1::FeedbackResult& result : reply->results()) {
      if (result.outcome() == v1::FEEDBACK_OUTCOME_REJECTED) throw std::runtime_error(result.message());
    }
  }
}

std::vector<v1::FeedbackOutcome> Outcomes(const v1::SubmitFeedbackResponse& response) {
  std::vector<v1::FeedbackOutcome> outcomes;
  for (const v1::FeedbackResult& result : response.results()) outcomes.push_back(result.outcome());
  return outcomes;
}

v1::GetCalibrationReportRequest WindowRequest(int64_t calibrator_version, const std::string& window) {
  v1::GetCalibrationReportRequest request;
  request.set_model(kModel);
  request.set_calibrator_version(calibrator_version);
  request.set_window(window);
  return request;
}

v1::WindowReport WaitForLabels(const Api& api, int64_t calibrator_version, int64_t n,
                               const std::string& window, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    const auto reply = api.Report(WindowRequest(calibrator_version, window));
    ThrowUnlessOk(reply.status);
    const v1::WindowReport& report = reply->report();
    if ((report.served().n() >= n && !report.catching_up()) || absl::Now() > deadline) return report;
    absl::SleepFor(absl::Milliseconds(5));
  }
}

Reply<v1::Calibrator> Fit(const Api& api, const v1::FitSpecification& specification,
                          const std::vector<v1::LabelledExample>& examples) {
  const auto stream = api.FitCalibrator();
  v1::FitCalibratorRequest request;
  *request.mutable_specification() = specification;
  stream->Write(request);
  constexpr size_t kExamplesAtOnce = 100;
  for (size_t begin = 0; begin < examples.size(); begin += kExamplesAtOnce) {
    request.mutable_examples()->clear_examples();
    const size_t end = std::min(examples.size(), begin + kExamplesAtOnce);
    for (size_t i = begin; i < end; ++i) *request.mutable_examples()->add_examples() = examples[i];
    stream->Write(request);
  }
  stream->CloseWrites();
  Reply<v1::Calibrator> reply;
  v1::FitCalibratorResponse response;
  while (stream->Read(&response)) {
    if (response.has_calibrator()) reply.response = response.calibrator();
  }
  reply.status = stream->Finish();
  return reply;
}

v1::FitSpecification StoredFit(v1::CalibrationMethod method) {
  v1::FitSpecification specification;
  specification.set_model(kModel);
  specification.set_method(method);
  specification.mutable_stored();
  return specification;
}

v1::FitSpecification UploadedFit(v1::CalibrationMethod method) {
  v1::FitSpecification specification;
  specification.set_model(kModel);
  specification.set_method(method);
  specification.mutable_uploaded();
  return specification;
}

v1::ActivateCalibratorRequest ActivateRequest(int64_t version, int64_t expected) {
  v1::ActivateCalibratorRequest request;
  request.set_model(kModel);
  request.set_version(version);
  request.set_expected_active_version(expected);
  return request;
}

}  // namespace calserve::e2e
