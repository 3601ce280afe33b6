#ifndef CALSERVE_SERVER_HTTP_DASHBOARD_VIEW_H_
#define CALSERVE_SERVER_HTTP_DASHBOARD_VIEW_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace calserve {

// What the page shows of the server and asks of it, as plain values: this room knows no other.

struct BinValues {
  double lower = 0, upper = 1;
  double count = 0;  // labels; fractional in a decaying window
  double confidence = 0, accuracy = 0;
  std::optional<double> accuracy_low, accuracy_high;  // 95 % interval; unset in an empty bin
};

// One side of a reliability diagram: labels with the probabilities as served, or with plain softmax.
struct SideValues {
  int64_t n = 0;
  double accuracy = 0, mean_confidence = 0, ece = 0, noise_floor = 0, mce = 0;
  std::optional<double> ece_low, ece_high, nll, brier;
  std::vector<BinValues> bins;
};

struct AlarmValues {
  bool raised = false;
  bool overconfident = false;  // of a raised one; else it is underconfident
  double e_overconfident = 1, e_underconfident = 1, threshold = 0;
  double tolerance = 0, alpha = 0;
  int64_t labels = 0;
  // Of a raised one: the label that raised it, and with which it most likely began.
  int64_t since_position = 0, change_position = 0;
  absl::Time since, change;
};

// Requests of the last ten seconds.
struct TrafficValues {
  double requests = 0, failures = 0;           // a second
  std::optional<double> p50, p99, mean_batch;  // seconds inside the server, of answered ones; rows
  int64_t queued_rows = 0;                     // now
  int instances = 0, busy_instances = 0;       // now
};

struct VersionValues {
  int64_t version = 0;
  std::string state, reason;  // "READY"; why it is not, or why a newer state of its files does not serve
  std::vector<std::string> labels;  // that point to it
  std::string format, device;       // empty where it does not serve, as all that follows
  int64_t calibrator = 0;           // the active one; 0: plain softmax
  std::string method;
  AlarmValues alarm;
  TrafficValues traffic;
  int64_t window_labels = 0;  // in the first window
  double ece = 0;             // of it
};

struct ModelRow {
  std::string name, reason;
  int64_t default_version = 0;          // 0: none serves
  std::vector<VersionValues> versions;  // the newest first
};

// Which window somebody looks at.
struct Watch {
  std::string model;    // empty: the first that serves
  int64_t version = 0;  // 0: the model's default
  std::string window;   // empty: the first
  friend auto operator<=>(const Watch&, const Watch&) = default;
};

// The window of the active calibrator, as GetCalibrationReport gives it.
struct WatchedValues {
  Watch watch;  // as it was found
  int64_t calibrator = 0;
  std::string method;
  int64_t position = 0;  // in the log, of the last label that the calibrator got
  bool truncated = false;
  SideValues served, uncalibrated;
  AlarmValues alarm;
  // Since the server started.
  int64_t issued = 0, labelled = 0;
  bool selective = false;  // SELECTIVE_LABELS
  TrafficValues traffic;
};

struct DashboardValues {
  std::optional<std::string> not_ready;
  bool catching_up = false;
  std::vector<std::string> windows;
  std::vector<ModelRow> models;  // by name
  std::optional<WatchedValues> watched;
};

// Points of 10 s within the last hour, of 2 min within the last day; oldest first. In memory: they begin with
// the process.
struct CalibrationPoint {
  absl::Time time;
  int64_t calibrator = 0;
  int64_t n = 0;
  // Meaningful where there are labels.
  double ece = 0, noise_floor = 0, uncalibrated_ece = 0;
  std::optional<double> ece_low, ece_high;
};
struct TrafficPoint {
  absl::Time time;
  double requests = 0, failures = 0;  // a second, over the ten seconds before
  std::optional<double> p50, p99;     // seconds
};
struct HistoryValues {
  std::vector<CalibrationPoint> calibration;
  std::vector<TrafficPoint> traffic;
};

// A calibrator version and the report of its fit.
struct FitFigures {
  double ece = 0;
  std::optional<double> nll;
  double accuracy = 0;
};
struct CalibratorValues {
  int64_t model_version = 0, version = 0;
  std::string method, origin, state, digest;
  absl::Time created;
  std::optional<absl::Time> activated;
  struct Parameter {
    std::string name;
    std::vector<double> values;
  };
  std::vector<Parameter> parameters;
  struct Fit {
    int64_t n = 0;
    bool converged = false, at_bound = false, selected_optimistic = false;
    int iterations = 0, folds = 0;
    double holdout = 0, changed_predictions = 0;
    FitFigures before, after;
    std::optional<FitFigures> cross_validated;
  };
  std::optional<Fit> fit;  // unset where it was not fitted here
};

// Thread-safe.
class DashboardView {
 public:
  virtual ~DashboardView() = default;
  // NOT_FOUND that names what is not known: a model, a version of it, a window. What is known need not serve.
  virtual absl::Status Check(const Watch& watch) const = 0;
  // `watched` is unset where nothing such serves. Must not wait for a request, nor for the store.
  virtual DashboardValues Values(const Watch& watch) const = 0;
  // Points after `since`; nothing where nothing such serves.
  virtual HistoryValues History(const Watch& watch, absl::Time since) const = 0;
  // Of one version of a model, newest first; plain softmax is not among them. Waits for the store.
  virtual absl::StatusOr<std::vector<CalibratorValues>> Calibrators(const std::string& model,
                                                                    int64_t version) = 0;
  // ABORTED where `expected_active` is not what is active, naming what is. `calibrator` 0: plain softmax.
  virtual absl::Status Activate(const std::string& model, int64_t version, int64_t calibrator,
                                int64_t expected_active) = 0;
  // Activates what was active before.
  virtual absl::Status Rollback(const std::string& model, int64_t version, int64_t expected_active) = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_DASHBOARD_VIEW_H_
