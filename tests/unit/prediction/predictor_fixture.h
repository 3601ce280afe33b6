#ifndef CALSERVE_TESTS_UNIT_PREDICTION_PREDICTOR_FIXTURE_H_
#define CALSERVE_TESTS_UNIT_PREDICTION_PREDICTOR_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/clock.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "server/prediction/predictor.h"
#include "tests/end_to_end/temp_dir.h"
#include "tests/integration/puppet_model.h"
#include "tests/unit/prediction/puppet_batcher.h"

namespace calserve {

// The answer to one request. Thread-safe.
class PredictionAnswer {
 public:
  void Give(absl::StatusOr<PredictionResponse> response) {
    MutexLock lock(&mu_);
    EXPECT_FALSE(response_.has_value()) << "answered twice";
    response_ = std::move(response);
    given_.SignalAll();
  }
  absl::StatusOr<PredictionResponse> Await() {
    MutexLock lock(&mu_);
    while (!response_.has_value()) given_.Wait(&mu_);
    return *response_;
  }
  bool given() {
    MutexLock lock(&mu_);
    return response_.has_value();
  }

 private:
  Mutex mu_;
  CondVar given_;
  std::optional<absl::StatusOr<PredictionResponse>> response_ ABSL_GUARDED_BY(mu_);
};

// A predictor over a model "puppet" whose logits are its input, with a batcher and a clock that do as told.
class PredictorFixture : public ::testing::Test {
 protected:
  struct Served {
    int classes = 4;
    int columns = 4;     // values of an input, and logits
    bool image = false;  // takes 1 × columns grey pixels, 0 to 255, as they are
    int max_batch_size = 8;
  };

  void Publish() { Publish(Served()); }
  void Publish(const Served& options) {
    auto served = std::make_shared<ServedModel>();
    served->name = "puppet";
    served->version = 3;
    for (int i = 0; i < options.classes; ++i) served->labels.push_back(absl::StrCat("class ", i));
    served->attribute_keys = {"camera", "hour"};
    served->digest = "d1ce";
    served->input_shape = {options.columns};
    served->input_size = options.columns;
    served->max_batch_size = options.max_batch_size;
    if (options.image) {
      ImageInputSpec spec;
      spec.height = 1;
      spec.width = options.columns;
      spec.color = Color::kGrey;
      spec.scale_to_unit = false;
      served->preprocessor = *Preprocessor::Create(spec, {});
      served->input_shape = {1, 1, options.columns};
    }
    auto model = std::make_unique<integration::PuppetModel>(options.columns, options.max_batch_size);
    model_ = model.get();
    auto batcher = std::make_unique<PuppetBatcher>(*model);
    batcher_ = batcher.get();
    served->model = std::move(model);
    served->batcher = std::move(batcher);
    served_ = served;
    table_.Publish(std::move(served), Plain(options.classes));
    predictor_ = std::make_unique<Predictor>(decoding_, table_, *tickets_, *predictor_clock_, stopwatch_);
  }

  static std::shared_ptr<const ServedCalibrator> Plain(int classes) {
    return std::make_shared<ServedCalibrator>(ServedCalibrator{Calibrator::None(classes), 0, ""});
  }
  static std::shared_ptr<const ServedCalibrator> Temperature(int64_t version, double temperature,
                                                             int classes = 4) {
    CalibratorSpec spec{CalibrationMethod::kTemperature, classes, {{"temperature", {temperature}}}};
    return std::make_shared<ServedCalibrator>(ServedCalibrator{*Calibrator::Create(spec), version, "c0de"});
  }

  // An input of the model's shape; its bytes live as long as the fixture.
  PredictionInput Tensor(const std::vector<float>& values) {
    const std::string& bytes =
        kept_.emplace_back(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    return {TensorInput{TensorInput::Type::kFloat32, served_->input_shape, {bytes}}, {}};
  }
  static PredictionRequest Request(std::vector<PredictionInput> inputs) {
    PredictionRequest request;
    request.model = "puppet";
    request.inputs = std::move(inputs);
    request.return_logits = request.return_probabilities = true;
    return request;
  }

  std::shared_ptr<PredictionAnswer> Start(PredictionRequest request) {
    auto answer = std::make_shared<PredictionAnswer>();
    predictor_->Predict(std::move(request), [answer](absl::StatusOr<PredictionResponse> response) {
      answer->Give(std::move(response));
    });
    return answer;
  }
  absl::StatusOr<PredictionResponse> Predict(PredictionRequest request) {
    return Start(std::move(request))->Await();
  }

  TicketContent Open(const std::string& ticket) {
    std::variant<TicketContent, TicketRejection> opened = tickets_->Open(ticket);
    if (const auto* rejected = std::get_if<TicketRejection>(&opened)) {
      ADD_FAILURE() << rejected->message;
      return {};
    }
    return std::get<TicketContent>(std::move(opened));
  }

  const e2e::TempDir data_dir_;
  ManualClock clock_{absl::FromUnixSeconds(1'700'000'000)};
  ManualMonotonicClock stopwatch_;
  const Clock* predictor_clock_ = &clock_;
  const std::unique_ptr<TicketSealer> tickets_ =
      *CreateTicketSealer(TicketOptions(), data_dir_.path(), "deployment", clock_);
  DecodingOptions decoding_{.threads = 1};
  std::deque<std::string> kept_;
  ServingTable table_;
  std::shared_ptr<const ServedModel> served_;
  integration::PuppetModel* model_ = nullptr;  // of served_
  PuppetBatcher* batcher_ = nullptr;           // of served_
  std::unique_ptr<Predictor> predictor_;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_PREDICTION_PREDICTOR_FIXTURE_H_
