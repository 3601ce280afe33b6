#ifndef CALSERVE_CLIENT_TYPES_H_
#define CALSERVE_CLIENT_TYPES_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "calibration/calibration_alarm.h"
#include "calibration/fit.h"
#include "calibration/label_extras.h"
#include "calibration/logits.h"
#include "calibration/metrics.h"
#include "calibration/metrics/detailed_metrics.h"
#include "calibration/set_threshold.h"

// What goes to the server and comes back, as plain values. The contract of every field is in
// proto/calserve/v1; what stands here is what a C++ caller meets differently.
namespace calserve::client {

// --- Prediction ---

// The model's own input, row-major, without batch dimension.
struct Tensor {
  enum class DataType { kFloat32, kUint8 };
  DataType data_type = DataType::kFloat32;
  std::vector<int64_t> shape;  // channels, height, width for an image model
  std::string data;            // little-endian elements

  static Tensor Float32(std::vector<int64_t> shape, absl::Span<const float> values);
  static Tensor Uint8(std::vector<int64_t> shape, absl::Span<const uint8_t> values);
};

struct EncodedImage {
  std::string bytes;  // a whole JPEG, PNG or WebP file
};

struct Input {
  std::variant<EncodedImage, Tensor> content;
  std::vector<std::pair<std::string, std::string>> attributes;  // at most 8, kept with the feedback
};

struct PredictRequest {
  std::string model;
  int64_t model_version = 0;  // 0: as version_label or routing_key say
  std::string version_label;  // such as "canary"; not together with model_version
  std::string routing_key;    // requests with the same key go to the same side of a traffic split
  std::vector<Input> inputs;
  int top_k = 0;     // 0: min(5, classes)
  int priority = 0;  // 1 is the most urgent; 0: the model's default_priority
  bool return_logits = false;
  bool return_probabilities = false;
  // Adds to each prediction the classes that hold the true one with probability 1 - alpha.
  struct Set {
    ConformalScore method = ConformalScore::kThr;
    double alpha = 0.1;
  };
  std::optional<Set> prediction_set = std::nullopt;
};

struct ClassProbability {
  int index = 0;
  std::string label;
  float probability = 0;
};

struct Prediction {
  std::string prediction_id;
  std::string ticket;  // bytes; send it back with the true label
  std::vector<ClassProbability> top_classes;
  float confidence = 0;
  float uncalibrated_confidence = 0;
  std::vector<float> probabilities;  // if asked for
  std::vector<float> logits;         // if asked for
  struct Set {
    ConformalScore method = ConformalScore::kThr;
    double alpha = 0;
    double threshold = 0;
    std::vector<ClassProbability> classes;  // at most 1,000
    int size = 0;
  };
  std::optional<Set> prediction_set = std::nullopt;  // if asked for
};

struct PredictResponse {
  std::string model;
  int64_t model_version = 0;
  int64_t calibrator_version = 0;  // 0: plain softmax
  std::string calibrator_method;
  std::vector<Prediction> predictions;  // one an input, in their order
  absl::Duration queued, decoding, in_model;
};

// --- Feedback ---

struct Feedback {
  std::string ticket;
  std::variant<int32_t, std::string> label;  // index or name of the true class
  // With what probability this prediction was chosen to be labelled, (0, 1]; unset: not known.
  std::optional<double> inclusion_probability = std::nullopt;
};

struct FeedbackResult {
  enum class Outcome { kAccepted, kDuplicate, kRejected };
  Outcome outcome = Outcome::kRejected;
  std::string reason;   // of a rejection: "LABEL_CONFLICT", "TICKET_INVALID", ...
  std::string message;  // of a rejection: a sentence
  std::string prediction_id;
};

// --- Calibration ---

// The labels whose prediction has that attribute; value "other": those of the key without a slice of their
// own.
struct Slice {
  std::string key, value;
  friend bool operator==(const Slice&, const Slice&) = default;
};

// Stored feedback of a model version, whatever calibrator it was served with.
struct StoredSelection {
  std::optional<absl::Time> start, end;  // committed at or after start, before end
  std::vector<std::string> sources, excluded_sources;
  int64_t max_rows = 0;  // the newest; 0: the server's limit
  // Any of the values of a key, of all keys that are named.
  std::vector<std::pair<std::string, std::string>> attributes = {};
};

// What the labels of a calibrator version say of its confidences (calibration/calibration_alarm.h). Only what
// is active is alarmed: of another version, `raised` is evidence and no alarm.
struct AlarmInfo {
  enum class State { kUnknown, kQuiet, kRaised, kNotActive };
  State state = State::kUnknown;
  AlarmStatus status;
};

// Of the active calibrator.
struct ModelAlarm {
  std::string model;
  int64_t model_version = 0;
  int64_t calibrator_version = 0;
  AlarmInfo alarm;
  std::optional<Slice> slice = std::nullopt;  // unset: of all labels
};

// Which predictions of a calibrator version got labels, counted since the server started.
struct LabelSelection {
  enum class State { kUnknown, kTooFewLabels, kNoDifference, kSelectiveLabels };
  State state = State::kUnknown;
  absl::Time since;
  int64_t issued = 0;
  int64_t labelled = 0;  // of those
  double labelled_share = 0;
  double mean_confidence_issued = 0, mean_confidence_labelled = 0;
  int64_t labels = 0;  // whenever their prediction was issued; delays are over these
  absl::Duration mean_label_delay, median_label_delay;
};

struct WindowReport {
  std::string model;
  int64_t model_version = 0;
  int64_t calibrator_version = 0;
  std::string window;    // empty for stored labels
  int64_t position = 0;  // of the last label in it
  absl::Time time;       // of that label, or of the report
  CalibrationMetrics served, uncalibrated;
  std::optional<DetailedMetrics> served_details, uncalibrated_details;  // of stored labels, if asked for
  bool catching_up = false;
  bool truncated = false;
  // Of all labels of the calibrator version; unset for stored labels.
  std::optional<AlarmInfo> alarm;
  std::optional<LabelSelection> selection;  // unset also of a slice
  // It never served: what it would have shown on labels after this position. alarm and selection are unset.
  std::optional<int64_t> shadow_after;
  // How the prediction sets of the calibrator hold; and estimates for all predictions, of labels with an
  // inclusion probability.
  struct SetCoverage {
    SetThreshold threshold;  // its n is not known here: 0
    int64_t n = 0;
    Estimate coverage;
    double mean_size = 0;
  };
  std::vector<SetCoverage> set_coverage;
  std::optional<WeightedEstimates> weighted;
  std::optional<Slice> slice;  // unset: all labels
};

// An attribute by whose values labels are counted apart.
struct SliceKey {
  std::string key;
  std::vector<std::string> values;  // that have a slice; empty: the first 32 that labels bring
};

struct ModelSlices {
  std::vector<SliceKey> keys;
  std::vector<WindowReport> reports;  // one a slice that had labels, without intervals
};

struct ReportRequest {
  std::string model;
  int64_t model_version = 0;
  std::optional<int64_t> calibrator_version;  // unset: the active one
  // A live window by name, or stored labels.
  std::variant<std::string, StoredSelection> data = std::string("last_1000");
  bool detailed = false;                      // also the DetailedMetrics; only of stored labels
  std::vector<std::string> report_mask = {};  // paths of WindowReport, as "served.ece"; empty: everything
  std::optional<Slice> slice = std::nullopt;
};

struct WatchRequest {
  std::string model;
  int64_t model_version = 0;
  std::optional<int64_t> calibrator_version;  // unset: the active one, also when another becomes active
  std::vector<std::string> windows;           // empty: "last_1000"
  absl::Duration min_interval = absl::Seconds(1);
  std::vector<std::string> report_mask = {};  // as ReportRequest's; empty: everything but the ECE's intervals
  std::optional<Slice> slice = std::nullopt;
};

// A calibrator that became active against the one before, on the same labels: those after the fits of both.
struct CalibratorComparison {
  int64_t incumbent = 0, candidate = 0;           // versions; 0: plain softmax
  int64_t n = 0;                                  // labels compared
  double nll_difference = 0, standard_error = 0;  // the candidate's less the incumbent's: below 0 is better
  double incumbent_ece = 0, candidate_ece = 0;
  double incumbent_accuracy = 0, candidate_accuracy = 0;
  double log_e_value = 0;  // against "the candidate is no better"
  int64_t first_position = 0, last_position = 0;
};

struct CalibratorInfo {
  enum class State { kUnknown, kFitted, kActive, kRetired };
  std::string model;
  int64_t model_version = 0;
  int64_t version = 0;  // 0: plain softmax
  std::string method;
  State state = State::kUnknown;
  std::vector<CalibratorSpec::Parameter> parameters;
  std::vector<SetThreshold> set_thresholds = {};
  std::string digest;
  std::string origin;  // "fit" or "shipped"
  std::optional<absl::Time> created, activated;
  std::optional<FitReport> report;
  int64_t fit_position = 0;                        // of the log: the fit saw no label after it
  std::string note;                                // why an automatic refit did not activate it
  std::optional<CalibratorComparison> comparison;  // of an activation that changed what is active

  // What it is made of, for a model of so many classes. INVALID_ARGUMENT for a method that this client does
  // not know.
  absl::StatusOr<CalibratorSpec> Spec(int classes) const;
};

// Where the automatic refit of a model version stands, by the policy in its model.yaml.
struct RefitStatus {
  enum class State { kUnknown, kOff, kWaiting, kCoolingDown, kSelectiveLabels, kGathering, kRunning };
  enum class Kind { kUnknown, kRefit, kRollback };
  enum class Outcome { kUnknown, kJudging, kActivated, kKept, kSuperseded, kInterrupted };
  struct Attempt {
    Kind kind = Kind::kUnknown;
    int64_t incumbent = 0, candidate = 0;  // calibrator versions
    int64_t number = 0;                    // of the incumbent, from 1
    Outcome outcome = Outcome::kUnknown;
    std::string reason;  // a sentence, with the figures
    absl::Time time;
    int64_t judged_position = 0;  // no label up to it judges for this incumbent again
  };

  std::string model;
  int64_t model_version = 0;
  std::string trigger;             // refit.on of model.yaml
  int64_t calibrator_version = 0;  // the incumbent: what is active
  State state = State::kUnknown;
  Kind kind = Kind::kUnknown;            // what kGathering gathers for
  std::string reason;                    // a sentence
  int64_t labels_needed = 0;             // kGathering: at least so many more
  std::optional<absl::Time> not_before;  // kCoolingDown, or kWaiting for its time
  int64_t next_attempt = 0;              // number of the incumbent's next one
  double next_level = 0;                 // the chance at which it is tested
  std::vector<Attempt> attempts;         // the newest first, at most 20
};

// N×K logits and N class indices; both outlive the call. float64 is sent as float32.
struct UploadedLogits {
  LogitsView logits;
  absl::Span<const int32_t> labels;
};

// N inputs, to which the server applies the model, and N class indices; both outlive the call.
struct UploadedInputs {
  absl::Span<const Input> inputs;
  absl::Span<const int32_t> labels;
};

struct FitProgress {
  std::string stage;    // "reading", "predicting", "fitting", "cross-validating", "storing"
  double fraction = 0;  // of the stage
  int64_t rows = 0;     // read so far
};

struct FitRequest {
  std::string model;
  int64_t model_version = 0;
  CalibrationMethod method = CalibrationMethod::kTemperature;
  std::variant<StoredSelection, UploadedLogits, UploadedInputs> data;
  int folds = 0;                               // of the cross-validation; 0: 5
  double holdout = 0;                          // > 0: judge on this share of the rows instead
  int outer_folds = 0;                         // of kAuto: folds around the choosing; 0: none
  std::vector<double> set_alphas = {};         // of prediction sets; empty: kDefaultSetAlphas
  absl::Duration timeout = absl::Minutes(10);  // of the whole fit, upload included
  std::function<bool(const FitProgress& progress)>
      on_progress;  // may be empty; returning false cancels the fit
};

// --- Models ---

struct ModelVersionInfo {
  enum class State { kUnknown, kLoading, kReady, kFailed, kUnloading, kUnavailable };
  int64_t version = 0;
  State state = State::kUnknown;
  std::string reason;  // why it is not ready, or not as it is on the server's disk
  std::vector<std::string> version_labels;
  std::string format;
  std::string device;
  std::string digest;
  CalibratorInfo active_calibrator;
};

struct ModelInfo {
  std::string name;
  std::string task;        // "multiclass" or "binary"
  std::string input_kind;  // "image" or "tensor"
  std::vector<int64_t> input_shape;
  std::vector<std::string> labels;
  int max_batch_size = 0;
  std::vector<ModelVersionInfo> versions;            // the newest first
  std::string reason;                                // what is wrong with its directory as a whole
  std::vector<std::pair<std::string, int>> traffic;  // version label and weight
  int64_t default_version = 0;  // what a call is about that names none; 0: no version is ready
};

enum class Health { kUnknown, kServing, kNotServing };

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_TYPES_H_
