// What a row costs beside the model: calibrate, top-k and seal the ticket, as Predictor does it for every row
// of a request. The batcher answers inline with logits made beforehand; the request has 32 rows of one float,
// so that parsing and dispatch, which are counted too, weigh little.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "calibration/calibrator.h"
#include "server/base/clock.h"
#include "server/feedback/tickets.h"
#include "server/prediction/predictor.h"
#include "server/prediction/serving_table.h"

namespace calserve {
namespace {

constexpr int kRows = 32;

class InlineBatcher final : public Batcher {
 public:
  explicit InlineBatcher(std::vector<float> logits) : logits_(std::move(logits)) {}
  void Schedule(BatchTask task) override {
    BatchResult result;
    result.logits = logits_;
    std::move(task.done)(std::move(result));
  }
  absl::Status CheckAdmission(BatchTask, Arrival) override { return absl::OkStatus(); }
  Counters counters() const override { return {}; }
  const BatchingOptions& options() const override { return options_; }

 private:
  const BatchingOptions options_;
  const std::vector<float> logits_;  // of a whole request
};

// Never runs: InlineBatcher answers.
class AbsentModel final : public Model {
 public:
  explicit AbsentModel(int classes) : classes_(classes) {}
  using Model::Staging;
  absl::Span<float> Staging(int, int) override { return {}; }
  absl::Status Start(int, int, int) override { return absl::InternalError("there is no model"); }
  absl::Status Finish(int, int, int, absl::Span<float>) override {
    return absl::InternalError("there is no model");
  }
  int columns() const override { return classes_; }
  const ModelOptions& options() const override { return options_; }
  const std::string& format() const override { return text_; }
  const std::string& device() const override { return text_; }
  const std::string& digest() const override { return digest_; }

 private:
  const int classes_;
  const ModelOptions options_;
  const std::string text_ = "none", digest_ = std::string(64, 'a');
};

std::vector<float> SomeLogits(int classes) {
  std::vector<float> logits(static_cast<size_t>(kRows) * classes);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = 8 * std::sin(0.7f * static_cast<float>(i) + static_cast<float>(i % 17));
  }
  return logits;
}

Calibrator SomeCalibrator(CalibrationMethod method, int classes) {
  const std::vector<double> slopes(classes, -1.1), offsets(classes, 0.2);
  CalibratorSpec spec{method, classes, {}};
  if (method == CalibrationMethod::kTemperature) spec.parameters = {{"temperature", {1.7}}};
  if (method == CalibrationMethod::kPlattOneVsRest)
    spec.parameters = {{"slope", slopes}, {"offset", offsets}};
  return *Calibrator::Create(spec);
}

// Keys of its own, in a directory that goes with it.
class Tickets {
 public:
  Tickets() {
    char path[] = "/tmp/calserve-benchmark-XXXXXX";
    directory_ = mkdtemp(path);
    sealer_ = *CreateTicketSealer(TicketOptions(), directory_, "benchmark", Clock::System());
  }
  ~Tickets() { std::filesystem::remove_all(directory_); }
  const TicketSealer& sealer() const { return *sealer_; }

 private:
  std::string directory_;
  std::unique_ptr<TicketSealer> sealer_;
};

void BM_CalibrateTopKTicket(benchmark::State& state, CalibrationMethod method) {
  const int classes = static_cast<int>(state.range(0));
  auto model = std::make_shared<ServedModel>();
  model->name = "fashion_mnist";
  model->version = 1;
  model->labels.assign(classes, "class");
  model->input_shape = {1};
  model->input_size = 1;
  model->max_batch_size = kRows;
  model->model = std::make_unique<AbsentModel>(classes);
  model->batcher = std::make_unique<InlineBatcher>(SomeLogits(classes));
  ServingTable table;
  table.Publish(std::move(model), std::make_shared<ServedCalibrator>(ServedCalibrator{
                                      SomeCalibrator(method, classes), 1, std::string(64, 'b')}));
  const Tickets tickets;
  Predictor predictor(DecodingOptions(), table, tickets.sealer(), Clock::System());

  const float value = 1;
  PredictionRequest request;
  request.model = "fashion_mnist";
  TensorInput tensor;
  tensor.shape = {1};
  tensor.data = {BytesOf({&value, 1})};
  request.inputs.assign(kRows, PredictionInput{tensor, {}});
  for (auto _ : state) {
    predictor.Predict(request, [&](absl::StatusOr<PredictionResponse> response) {
      if (!response.ok()) state.SkipWithError(response.status().ToString().c_str());
      benchmark::DoNotOptimize(response);
    });
  }
  state.SetItemsProcessed(state.iterations() * kRows);
  state.counters["per_row"] = benchmark::Counter(static_cast<double>(state.iterations()) * kRows,
                                                 benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK_CAPTURE(BM_CalibrateTopKTicket, none, CalibrationMethod::kNone)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(BM_CalibrateTopKTicket, temperature, CalibrationMethod::kTemperature)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(BM_CalibrateTopKTicket, platt_one_vs_rest, CalibrationMethod::kPlattOneVsRest)
    ->Arg(10)
    ->Arg(1000);

}  // namespace
}  // namespace calserve
