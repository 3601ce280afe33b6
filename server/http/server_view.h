#ifndef CALSERVE_SERVER_HTTP_SERVER_VIEW_H_
#define CALSERVE_SERVER_HTTP_SERVER_VIEW_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/telemetry/histogram.h"
#include "server/telemetry/outcome_counters.h"

namespace calserve {

// What the admin port shows of the server, as plain values: this room knows no other.

// Requests of one kind that ended in one way.
struct RequestCount {
  Rpc rpc = Rpc::kPredict;
  absl::StatusCode code = absl::StatusCode::kOk;
  int64_t count = 0;
};

// Time of answered requests, in seconds, by the part of the server that it passed in.
struct TimeSplit {
  double receive = 0;    // from the handler's start until it was queued
  double queue = 0;      // waiting for a decoder or for an instance
  double decode = 0;     // of all its images
  double compute = 0;    // its share of the forward passes, by rows
  double calibrate = 0;  // calibrating, ordering, sealing tickets
  double respond = 0;    // making the answer what is sent
};

// One model version that is served.
struct ModelValues {
  std::string model;
  int64_t version = 0;
  std::vector<RequestCount> requests;  // only those that there were
  int64_t rows = 0;                    // answered
  TimeSplit time;
  HistogramValues queue, decode, compute, calibrate, respond, total;  // seconds, of answered requests
  HistogramValues batch_rows;
  double batch_seconds = 0;                         // the forward passes all together
  double turn_wait_seconds = 0;                     // of instances, for their turn on the device
  int64_t refused = 0, expired = 0, cancelled = 0;  // requests that left the queue without the model
  int64_t failed = 0;                               // requests that the model gave an error
  int64_t queued_rows = 0, queued_bytes = 0;        // now
  int instances = 0, busy_instances = 0;            // now
  double longest_run_seconds = 0;                   // now, of a batch under way
};

// A version as the repository of models has it, or a model as a whole.
struct VersionStateValues {
  std::string model;
  std::optional<int64_t> version;  // unset: the model, whose directory is at fault
  std::string state;               // READY | LOADING | UNLOADING | FAILED | UNAVAILABLE
  bool failed = false;             // its newest files are at fault; a READY one serves as loaded before
  bool wanted = false;             // not chosen to be left out, nor unloaded
};

// One window of labels of a version's active calibrator.
struct CalibrationValues {
  std::string model;
  int64_t version = 0, calibrator = 0;
  std::string window;
  int64_t labels = 0;
  // Meaningful only where there are labels.
  double ece = 0, noise_floor = 0, mce = 0, accuracy = 0, mean_confidence = 0;
  std::optional<double> ece_low, ece_high, nll;
  // Of the prediction sets, for each of the calibrator's first thresholds.
  struct Sets {
    std::string method;
    double alpha = 0, coverage = 0, mean_size = 0;
  };
  std::vector<Sets> sets;
  // For all predictions, of the labels with an inclusion probability; unset where there is none.
  struct Weighted {
    double accuracy = 0, confidence_gap = 0, ece = 0;
  };
  std::optional<Weighted> weighted;
};

// The alarm of a version's active calibrator: it has no window, all its labels count.
struct AlarmFigures {
  std::string model;
  int64_t version = 0, calibrator = 0;
  bool raised = false;
  double e_overconfident = 1, e_underconfident = 1;
  double threshold = 0;  // one of the two at or above it raises the alarm
};

// A slice of the labels of a version's active calibrator, in one window.
struct SliceValues {
  std::string model;
  int64_t version = 0, calibrator = 0;
  std::string key, value;
  bool alarm = false;       // raised
  std::string window = {};  // empty: the alarm alone
  int64_t labels = 0;
  double ece = 0;  // meaningful only where there are labels
};

// Automatic refits of a version since the start, by how they ended.
struct RefitValues {
  std::string model;
  int64_t version = 0;
  int64_t activated = 0, rolled_back = 0, kept = 0, superseded = 0, failed = 0;
  std::string last;  // how the last one ended: one of the five above; empty before the first
};

// Memory of one accelerator that a served version runs on, in bytes.
struct DeviceValues {
  std::string device;                               // "cuda:0"
  int64_t allocated_bytes = 0, reserved_bytes = 0;  // by this process
  int64_t free_bytes = 0, size_bytes = 0;           // of the device
};

struct FeedbackValues {
  int64_t accepted = 0, duplicate = 0, rejected = 0, label_conflict = 0;  // conflicts are rejected ones
  int64_t queued_labels = 0;                                              // now
  HistogramValues label_delay, commit;                                    // seconds
};

struct ServerValues {
  std::vector<ModelValues> models;
  std::vector<VersionStateValues> versions;     // of all models
  std::vector<RequestCount> unserved_requests;  // that never got to a model version
  int64_t queued_images = 0;                    // now, for a decoder
  FeedbackValues feedback;
  std::vector<CalibrationValues> calibration;
  std::vector<AlarmFigures> alarms;
  std::vector<SliceValues> slices;
  std::vector<RefitValues> refits;    // of served versions with a policy
  std::vector<DeviceValues> devices;  // each once
  int64_t monitored_keys = 0;         // with windows, now
  int64_t dropped_keys = 0;           // that made room for others
  bool catching_up = false;           // windows are behind where the log ended at the start
  bool log_fails = false;             // labels cannot be folded now
  bool checkpoint_fails = false;      // as the last attempt ended
  int64_t audit_failures = 0;         // lines of the audit log that could not be written
};

// Thread-safe; what it is asked must not wait for a request.
class ServerView {
 public:
  virtual ~ServerView() = default;
  // Why the server is not ready; nullopt while it is.
  virtual std::optional<std::string> NotReady() const = 0;
  virtual ServerValues Values() const = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_SERVER_VIEW_H_
