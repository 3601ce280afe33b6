#include "tests/integration/in_process_server.h"

#include <chrono>
#include <cstdlib>
#include <future>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/prediction/served_version.h"

namespace calserve::integration {
namespace {

template <typename T>
T OrThrow(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

std::shared_ptr<const ServedCalibrator> ToServed(const CalibratorVersion& version, int classes) {
  Calibrator calibrator =
      version.version == 0 ? Calibrator::None(classes) : OrThrow(Calibrator::Create(version.spec));
  return std::make_shared<ServedCalibrator>(
      ServedCalibrator{std::move(calibrator), version.version, version.digest});
}

}  // namespace

InProcessServer::InProcessServer(const InProcessOptions& options, const Clock& clock) {
  StoreOptions store;
  store.data_dir = options.data_dir;
  disk_ = OrThrow(OpenStore(store));
  if (options.around_store) around_disk_ = options.around_store(*disk_);
  Store& used = around_disk_ != nullptr ? *around_disk_ : *disk_;
  class_names_ = std::make_unique<ClassNames>(used);
  tickets_ = OrThrow(CreateTicketSealer(options.tickets, options.data_dir, used.deployment_id(), clock));
  registry_ = OrThrow(CalibratorRegistry::Create(
      RecalibrationOptions(), used, clock, [this](const CalibratorVersion& active) {
        table_.SetCalibrator(active.model, active.model_version, ToServed(active, active.spec.classes));
      }));
  PublishModel(options);
  DecodingOptions decoding;
  decoding.threads = 1;
  predictor_ = std::make_unique<Predictor>(decoding, table_, *tickets_, clock);
  monitor_ = OrThrow(CalibrationMonitor::Create(
      MonitoringOptions(), used, clock,
      [this](const std::string& model, int64_t model_version, int64_t version) {
        return registry_->Find(model, model_version, version);
      },
      nullptr, [slices = options.attributes](const std::string&) { return slices; }));
  hub_ = ReportHub::Create(*monitor_, clock);
  ingestor_ = OrThrow(FeedbackIngestor::Create(
      FeedbackOptions(), *tickets_, used, clock,
      [this](const TicketContent& prediction, const std::string& label) {
        return class_names_->Find(prediction.model, prediction.model_digest, label);
      },
      [this] { monitor_->Notify(); }));
  GrpcOptions grpc;
  grpc.listen = "127.0.0.1:0";
  grpc.drain_timeout = options.drain_timeout;
  grpc.max_received_bytes = options.max_received_bytes;
  grpc.max_unsent_bytes = options.max_unsent_bytes;
  server_ = OrThrow(GrpcServer::Start(grpc, {*predictor_, table_, *ingestor_, *registry_, *monitor_, *hub_,
                                             RecalibrationOptions(), options.repository}));
  repository_ = options.repository;
}

void InProcessServer::PublishModel(const InProcessOptions& options) {
  auto served = std::make_shared<ServedModel>();
  served->name = "puppet";
  served->version = 1;
  for (int i = 0; i < options.classes; ++i) served->labels.push_back(absl::StrCat("class ", i));
  for (const SliceKey& key : options.attributes) served->attribute_keys.push_back(key.key);
  served->input_shape = {options.classes};
  served->input_size = options.classes;
  served->max_batch_size = options.batching.max_batch_size;
  auto model = std::make_unique<PuppetModel>(options.classes, options.batching.max_batch_size);
  model_ = model.get();
  served->model = std::move(model);
  BatchRunner runner =
      RunnerOf(*model_, options.classes, [this](const absl::Status&) { server_->SetNotReady(); });
  runner.prepare = nullptr;  // What the puppet ran is what requests asked for.
  served->batcher = OrThrow(Batcher::Create(options.batching, std::move(runner)));
  const CalibratorVersion active = OrThrow(registry_->AddModelVersion({"puppet", 1, options.classes}, ""));
  table_.Publish(std::move(served), ToServed(active, options.classes));
}

absl::Status InProcessServer::ActivateTemperature() {
  const int classes = model_->columns();
  LabelledLogits data;
  data.columns = classes;
  for (int i = 0; i < 100; ++i) {
    for (int k = 0; k < classes; ++k) data.logits.push_back(k == i % classes ? 5 : 0);
    data.labels.push_back(i % 3 == 0 ? (i + 1) % classes : i % classes);
  }
  const auto fitted = std::make_shared<std::promise<absl::Status>>();
  registry_->FitUploaded(
      {"puppet", 1, classes}, CalibrationMethod::kTemperature, {.folds = 5}, data, nullptr,
      [fitted](const absl::StatusOr<CalibratorVersion>& fit) { fitted->set_value(fit.status()); });
  std::future<absl::Status> outcome = fitted->get_future();
  if (outcome.wait_for(std::chrono::seconds(20)) != std::future_status::ready)
    return absl::DeadlineExceededError("the fit has no end");
  if (absl::Status status = outcome.get(); !status.ok()) return status;
  return registry_->Activate("puppet", 1, 1, 0).status();
}

int64_t InProcessServer::Drain() {
  drained_ = true;
  if (repository_ != nullptr) repository_->StopLoading();
  const GrpcServer::Drained drained = server_->Drain();
  if (drained.stuck > 0) std::abort();  // What it uses is about to be destroyed.
  return drained.cancelled;
}

InProcessServer::~InProcessServer() {
  model_->Release();
  if (!drained_) Drain();
  // As in main.cc: an instance must not let go of the last that it answered with.
  for (const Snapshot& snapshot : table_.List()) snapshot.model->batcher->Stop();
  server_.reset();
  ingestor_.reset();
  monitor_->SaveCheckpoint().IgnoreError();
}

}  // namespace calserve::integration
