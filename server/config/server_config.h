#ifndef CALSERVE_SERVER_CONFIG_SERVER_CONFIG_H_
#define CALSERVE_SERVER_CONFIG_SERVER_CONFIG_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/access/access_control.h"
#include "server/access/tls_files.h"
#include "server/batching/batcher.h"
#include "server/feedback/feedback_ingestor.h"
#include "server/feedback/store.h"
#include "server/feedback/tickets.h"
#include "server/http/admin_server.h"
#include "server/imaging/decoder.h"
#include "server/model/model_repository.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/prediction/decoding_options.h"
#include "server/recalibration/calibrator_registry.h"
#include "server/rpc/grpc_server.h"

namespace calserve {

// Everything that can be set, as the rooms take it. LoadConfig fills it and has checked it; option_table.cc
// says how each value is named in the file, the environment and the flags.
struct ServerConfig {
  std::vector<std::string> arguments;  // that the program was started with, its name the first
  std::string check;                   // --check: the directory to check instead of serving; empty: serve
  int trial = 0;  // --trial: that check is the trial of a version by the server of this process id
  std::string model_repository;
  RepositoryOptions repository;
  std::string log_level = "info";                   // debug | info | warn | error
  std::string log_format = "auto";                  // auto: text on a terminal, else JSON | text | json
  int intra_op_threads = 0;                         // of LibTorch; 0: cores (AvailableCores) / instances
  int polling_threads = 0;                          // of gRPC, waiting at once; 0: cores / 4
  absl::Duration polling_spin;                      // of each of them before it sleeps
  std::string device_error_policy = "exit";         // exit | stay: once a device does not answer any more
  absl::Duration retention = absl::Hours(30 * 24);  // of stored labels
  bool insecure = false;                            // plain text may be listened to beyond loopback
  GrpcOptions grpc;                                 // has the address to listen on
  AdminOptions admin;                               // the address of the admin port
  std::string admin_tls = "auto";                   // auto: where there is a certificate | off
  TlsOptions tls;
  AccessOptions access;
  StoreOptions store;        // has the data directory
  DecodingOptions decoding;  // threads = 0: one a core
  DecodeLimits decode_limits;
  BatchingOptions batching;    // defaults of a model's own (ModelConfig::batching)
  int batches_per_device = 0;  // of all models at once, which then take turns; 0: no limit
  TicketOptions tickets;
  FeedbackOptions feedback;
  MonitoringOptions monitoring;
  std::string slice_metrics = "all";  // all | alarm | none: series of each slice in /metrics
  RecalibrationOptions recalibration;

  bool AdminTls() const { return tls.enabled() && admin_tls != "off"; }
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_SERVER_CONFIG_H_
