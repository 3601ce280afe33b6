#ifndef CALSERVE_TESTS_INTEGRATION_IN_PROCESS_SERVER_H_
#define CALSERVE_TESTS_INTEGRATION_IN_PROCESS_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "server/base/clock.h"
#include "server/feedback/class_names.h"
#include "server/feedback/feedback_ingestor.h"
#include "server/feedback/store.h"
#include "server/feedback/tickets.h"
#include "server/model/model_repository.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/monitoring/report_hub.h"
#include "server/prediction/predictor.h"
#include "server/prediction/serving_table.h"
#include "server/recalibration/calibrator_registry.h"
#include "server/rpc/grpc_server.h"
#include "tests/integration/puppet_model.h"

namespace calserve::integration {

struct InProcessOptions {
  int classes = 4;
  SliceKeys attributes;
  BatchingOptions batching;
  TicketOptions tickets;
  absl::Duration drain_timeout = absl::Seconds(30);
  int64_t max_received_bytes = 1 << 30, max_unsent_bytes = 512 << 20;
  std::function<std::unique_ptr<Store>(Store&)> around_store;  // may put another store before the real one
  std::string data_dir;
  ModelRepository* repository = nullptr;  // beside the puppet; told of the drain. Outlives the server.
};

// The rooms wired as in server/main.cc, over a puppet for a model and a clock that the test moves.
// Destruction is a drain: windows are checkpointed, and another one may start in the same directory.
class InProcessServer {
 public:
  // `clock` outlives the server. Throws where a part cannot be made.
  InProcessServer(const InProcessOptions& options, const Clock& clock);
  ~InProcessServer();

  // As on SIGTERM; at most once. Returns how many calls had to be cancelled.
  int64_t Drain();

  std::string address() const { return server_->address(); }
  PuppetModel& model() { return *model_; }
  Batcher::Counters batcher_counters() const { return table_.Find("puppet", 0)->model->batcher->counters(); }
  FeedbackIngestor::Counters feedback_counters() const { return ingestor_->counters(); }
  CalibratorRegistry& registry() { return *registry_; }
  // Fits temperature scaling for the puppet, as version 1, and makes it active in place of plain softmax.
  absl::Status ActivateTemperature();
  int64_t calls_under_way() const { return server_->calls_under_way(); }

 private:
  void PublishModel(const InProcessOptions& options);

  PuppetModel* model_ = nullptr;  // owned by the table
  std::unique_ptr<Store> disk_;
  std::unique_ptr<Store> around_disk_;  // may be null
  std::unique_ptr<ClassNames> class_names_;
  std::unique_ptr<TicketSealer> tickets_;
  ServingTable table_;
  std::unique_ptr<CalibratorRegistry> registry_;
  std::unique_ptr<Predictor> predictor_;
  std::unique_ptr<CalibrationMonitor> monitor_;
  std::unique_ptr<ReportHub> hub_;
  std::unique_ptr<FeedbackIngestor> ingestor_;
  std::unique_ptr<GrpcServer> server_;
  ModelRepository* repository_ = nullptr;  // may be null
  bool drained_ = false;
};

}  // namespace calserve::integration

#endif  // CALSERVE_TESTS_INTEGRATION_IN_PROCESS_SERVER_H_
