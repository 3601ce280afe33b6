#ifndef CALSERVE_SERVER_RPC_GRPC_SERVER_H_
#define CALSERVE_SERVER_RPC_GRPC_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/access/access_control.h"
#include "server/access/audit_log.h"
#include "server/access/tls_files.h"
#include "server/feedback/feedback_ingestor.h"
#include "server/model/model_repository.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/monitoring/report_hub.h"
#include "server/prediction/predictor.h"
#include "server/recalibration/calibrator_registry.h"
#include "server/recalibration/refit_controller.h"

namespace calserve {

struct GrpcOptions {
  std::string listen = "127.0.0.1:8500";  // host:port; port 0 takes a free one
  int max_message_bytes = 64 << 20;       // of one message received; beyond it RESOURCE_EXHAUSTED
  int64_t max_received_bytes = 1 << 30;   // of messages whose calls are not answered, together, and as
                                          // much again of those that are not whole yet
  int64_t max_unsent_bytes = 512 << 20;   // of answers that clients have not read, together
  int max_concurrent_streams = 1024;      // calls under way on one connection
  absl::Duration lame_duck = absl::ZeroDuration();   // serve on for so long after health says NOT_SERVING
  absl::Duration drain_timeout = absl::Seconds(30);  // for the calls under way, then they are cancelled
  std::string reflection = "auto";  // on | off | auto: where callers are not asked who they are

  // A client that has been silent for keepalive_time is asked whether it is there; without an answer within
  // keepalive_timeout its calls are cancelled.
  absl::Duration keepalive_time = absl::Minutes(1);
  absl::Duration keepalive_timeout = absl::Seconds(20);
  absl::Duration min_ping_interval = absl::Seconds(5);  // how often clients may ask, without sending else
  absl::Duration max_connection_age = absl::ZeroDuration();        // then clients connect anew; 0: never
  absl::Duration max_connection_age_grace = absl::ZeroDuration();  // for calls on such a one; 0: no limit
};

// What the services work on; all outlive the server.
struct GrpcBackends {
  Predictor& predictor;
  const ServingTable& table;
  FeedbackIngestor& ingestor;
  CalibratorRegistry& registry;
  CalibrationMonitor& monitor;
  ReportHub& hub;
  RecalibrationOptions limits;
  ModelRepository* repository = nullptr;  // null: what the table serves is all there is
  AccessControl* access = nullptr;        // null: everybody may do everything
  const AuditLog* audit = nullptr;        // null: nothing is audited
  const TlsFiles* tls = nullptr;          // null: plain text
  RefitController* refits = nullptr;      // null: nothing is refitted by itself
  std::vector<std::string> windows = {};  // that the monitor keeps; empty: its default
};

// The gRPC server: calserve.v1's four services, KServe v2, health (Check and Watch) and reflection, over TLS
// where there is a certificate. Plain
// header: gRPC stays in this room's .cc files.
class GrpcServer {
 public:
  // Listens and serves. UNAVAILABLE where the address cannot be had, naming it.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcOptions& options, GrpcBackends backends);
  // Cancels what is under way; Drain first.
  virtual ~GrpcServer() = default;

  // host:port that it listens on; the port chosen where options.listen has port 0.
  virtual std::string address() const = 0;

  // Unary calls and streams that have begun and not ended; health and reflection are not counted.
  virtual int64_t calls_under_way() const = 0;

  struct Drained {
    int64_t cancelled = 0;  // calls that were under way at drain_timeout
    int64_t stuck = 0;  // those of them that did not end for that: a forward pass cannot be made to return
  };
  // Health says NOT_SERVING, then serves on for lame_duck, then takes no new calls and lets those under way
  // finish within drain_timeout; cancels the others and waits for them a little. Once. Where calls are stuck
  // neither the server nor what it uses may be destroyed: leave the process.
  virtual Drained Drain() = 0;
  // From now on health and readiness say NOT_SERVING; calls are served on. Thread-safe.
  virtual void SetNotReady() = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_GRPC_SERVER_H_
