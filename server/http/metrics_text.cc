#include "server/http/metrics_text.h"

#include <prometheus/collectable.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <charconv>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/http/metric_families.h"
#include "server/http/process_metrics.h"
#include "server/http/version_metrics.h"

namespace calserve {
namespace {

using prometheus::MetricFamily;
using Families = MetricFamilies;
using Labels = MetricLabels;

// The fewest digits that are this number alone.
std::string Shortest(double value) {
  std::array<char, 32> digits;
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr};
}

Labels Of(const ModelValues& model) {
  return {Label("model", model.model), Label("version", absl::StrCat(model.version))};
}

Labels Of(const RefitValues& refit) {
  return {Label("model", refit.model), Label("version", absl::StrCat(refit.version))};
}

std::array<std::pair<const char*, int64_t>, 5> OutcomesOf(const RefitValues& refit) {
  return {{{"activated", refit.activated},
           {"rolled_back", refit.rolled_back},
           {"kept", refit.kept},
           {"superseded", refit.superseded},
           {"failed", refit.failed}}};
}

// The metrics of one scrape, family by family.
class Collector final : public prometheus::Collectable {
 public:
  Collector(const ServerValues& values, bool ready, const ProcessStats& process)
      : values_(values), ready_(ready), process_(process) {}

  Families Collect() const override {
    Families families;
    AddRequests(families);
    AddDurations(families);
    AddBatching(families);
    AddFeedback(families);
    AddCalibration(families);
    AddAlarms(families);
    AddSlices(families);
    AddRefits(families);
    AddDevices(families);
    AddVersionStates(families, values_.versions);
    AddServer(families);
    AddProcess(families, process_);
    std::erase_if(families, [](const MetricFamily& family) { return family.metric.empty(); });
    return families;
  }

 private:
  // A series of one figure for each model version.
  template <typename Figure>
  void PutEach(MetricFamily& family, Figure ModelValues::*figure) const {
    for (const ModelValues& model : values_.models) {
      if constexpr (std::is_same_v<Figure, HistogramValues>) {
        Put(family, Of(model), model.*figure);
      } else {
        Put(family, Of(model), static_cast<double>(model.*figure));
      }
    }
  }

  void AddRequests(Families& families) const {
    MetricFamily& requests =
        AddCounter(families, "calserve_requests_total",
                   "Calls, and messages of streams that ask for predictions, by the status "
                   "code that they ended with; model and version are empty where a "
                   "request is not about one model version that is served");
    const auto put = [&requests](const Labels& labels, const std::vector<RequestCount>& counts) {
      for (const RequestCount& of : counts) {
        Put(requests,
            With(With(labels, "rpc", kRpcNames[static_cast<size_t>(of.rpc)]), "code",
                 absl::StatusCodeToString(of.code)),
            static_cast<double>(of.count));
      }
    };
    for (const ModelValues& model : values_.models) put(Of(model), model.requests);
    put({Label("model", ""), Label("version", "")}, values_.unserved_requests);
    PutEach(AddCounter(families, "calserve_predictions_total", "Rows of the requests that were answered"),
            &ModelValues::rows);
  }

  void AddDurations(Families& families) const {
    MetricFamily& split = AddCounter(
        families, "calserve_request_time_seconds_total",
        "Time of answered requests by the server's own clocks, split by part: receive (from the handler's "
        "start until queued), queue (waiting), decode (of all images), compute (a request's share of its "
        "batches, by rows), calibrate (with ordering and ticket), respond (making the answer what is sent)."
        " CPU time, gRPC's too, is in calserve_thread_cpu_seconds_total");
    for (const ModelValues& model : values_.models) {
      const std::pair<const char*, double> parts[] = {
          {"receive", model.time.receive},     {"queue", model.time.queue},
          {"decode", model.time.decode},       {"compute", model.time.compute},
          {"calibrate", model.time.calibrate}, {"respond", model.time.respond}};
      for (const auto& [part, seconds] : parts) Put(split, With(Of(model), "part", part), seconds);
    }
    const auto histogram = [&](const char* name, const char* help, HistogramValues ModelValues::*figure) {
      PutEach(AddHistogram(families, name, help), figure);
    };
    histogram("calserve_request_duration_seconds",
              "From the handler's start until a request's answer is ready to be sent", &ModelValues::total);
    histogram("calserve_request_queue_seconds",
              "What an answered request waited for a decoder and an instance", &ModelValues::queue);
    histogram("calserve_request_decode_seconds",
              "Decoding and resizing the slowest image of an answered request", &ModelValues::decode);
    histogram("calserve_request_compute_seconds", "The forward pass that an answered request was part of",
              &ModelValues::compute);
    histogram("calserve_request_calibrate_seconds",
              "Calibrating, ordering the classes of and sealing the tickets of an answered request",
              &ModelValues::calibrate);
    histogram("calserve_request_respond_seconds", "Making the answer of an answered request what is sent",
              &ModelValues::respond);
  }

  void AddBatching(Families& families) const {
    PutEach(AddHistogram(families, "calserve_batch_rows",
                         "Rows of the batches that were run; its count is the number of batches"),
            &ModelValues::batch_rows);
    PutEach(AddCounter(families, "calserve_batch_compute_seconds_total",
                       "Time of the forward passes of all batches; beside instances, how busy they were"),
            &ModelValues::batch_seconds);
    PutEach(AddCounter(families, "calserve_batch_turn_wait_seconds_total",
                       "Time that instances with work waited for their turn on the device"),
            &ModelValues::turn_wait_seconds);
    MetricFamily& drops = AddCounter(
        families, "calserve_queue_drops_total",
        "Requests that left the batch queue without the model: refused at once, expired, or cancelled");
    for (const ModelValues& model : values_.models) {
      Put(drops, With(Of(model), "reason", "refused"), static_cast<double>(model.refused));
      Put(drops, With(Of(model), "reason", "expired"), static_cast<double>(model.expired));
      Put(drops, With(Of(model), "reason", "cancelled"), static_cast<double>(model.cancelled));
    }
    PutEach(AddCounter(families, "calserve_model_errors_total", "Requests that the model gave an error"),
            &ModelValues::failed);
    PutEach(AddGauge(families, "calserve_queue_rows", "Rows waiting for an instance"),
            &ModelValues::queued_rows);
    PutEach(AddGauge(families, "calserve_queue_bytes", "Input waiting for an instance"),
            &ModelValues::queued_bytes);
    PutEach(AddGauge(families, "calserve_instances", "Threads that run batches of the model"),
            &ModelValues::instances);
    PutEach(AddGauge(families, "calserve_instances_busy", "Those of the instances that do not wait for work"),
            &ModelValues::busy_instances);
    PutEach(AddGauge(families, "calserve_batch_running_seconds",
                     "How long the batch has run that has run longest, of those under way; 0: none is"),
            &ModelValues::longest_run_seconds);
    Put(AddGauge(families, "calserve_decode_queue_images", "Images of all models waiting for a decoder"), {},
        static_cast<double>(values_.queued_images));
  }

  void AddFeedback(Families& families) const {
    const FeedbackValues& feedback = values_.feedback;
    MetricFamily& labels = AddCounter(families, "calserve_feedback_labels_total",
                                      "Labels by what became of them; accepted ones are durable");
    Put(labels, {Label("outcome", "accepted")}, static_cast<double>(feedback.accepted));
    Put(labels, {Label("outcome", "duplicate")}, static_cast<double>(feedback.duplicate));
    Put(labels, {Label("outcome", "rejected")}, static_cast<double>(feedback.rejected));
    Put(AddCounter(families, "calserve_feedback_label_conflicts_total",
                   "Rejected labels whose prediction had another label already"),
        {}, static_cast<double>(feedback.label_conflict));
    Put(AddGauge(families, "calserve_feedback_queue_labels", "Labels waiting for the store's writer"), {},
        static_cast<double>(feedback.queued_labels));
    Put(AddHistogram(families, "calserve_feedback_label_delay_seconds",
                     "From a prediction to the commit of its accepted label"),
        {}, feedback.label_delay);
    Put(AddHistogram(families, "calserve_store_commit_seconds",
                     "Transactions that append labels to the store, failed ones included"),
        {}, feedback.commit);
  }

  void AddCalibration(Families& families) const {
    const auto gauge = [&](const char* name, const char* help, auto value) {
      MetricFamily& family = AddGauge(families, name, help);
      for (const CalibrationValues& window : values_.calibration) {
        const std::optional<double> figure = value(window);
        if (!figure.has_value()) continue;
        Put(family,
            {Label("model", window.model), Label("version", absl::StrCat(window.version)),
             Label("calibrator", absl::StrCat(window.calibrator)), Label("window", window.window)},
            *figure);
      }
    };
    gauge("calserve_calibration_labels", "Labels in the window of a version's active calibrator",
          [](const CalibrationValues& w) { return std::optional(static_cast<double>(w.labels)); });
    // The others say nothing of an empty window: they have no series then.
    const auto figure = [&](const char* name, const char* help, auto value) {
      gauge(name, help, [value](const CalibrationValues& w) -> std::optional<double> {
        if (w.labels == 0) return std::nullopt;
        return value(w);
      });
    };
    using Window = CalibrationValues;
    figure("calserve_calibration_ece", "Expected calibration error of the probabilities as served",
           [](const Window& w) { return w.ece; });
    figure("calserve_calibration_ece_low", "Lower end of the 95 % interval of the expected calibration error",
           [](const Window& w) { return w.ece_low; });
    figure("calserve_calibration_ece_high",
           "Upper end of the 95 % interval of the expected calibration error",
           [](const Window& w) { return w.ece_high; });
    figure("calserve_calibration_ece_noise_floor",
           "Expected calibration error that a calibrated model would show on so few labels",
           [](const Window& w) { return w.noise_floor; });
    figure("calserve_calibration_mce", "Largest gap of a bin between confidence and accuracy",
           [](const Window& w) { return w.mce; });
    figure("calserve_calibration_nll", "Mean negative log-likelihood of the labels, in nats",
           [](const Window& w) { return w.nll; });
    figure("calserve_calibration_accuracy", "Share of the labels that the prediction agreed with",
           [](const Window& w) { return w.accuracy; });
    figure("calserve_calibration_confidence_gap",
           "Mean confidence as served minus accuracy: positive where the model is overconfident",
           [](const Window& w) { return w.mean_confidence - w.accuracy; });
    const auto weighted = [&](const char* name, const char* help, auto value) {
      gauge(name, help, [value](const Window& w) -> std::optional<double> {
        if (!w.weighted.has_value()) return std::nullopt;
        return value(*w.weighted);
      });
    };
    weighted("calserve_calibration_weighted_accuracy",
             "Accuracy of all predictions, estimated from the labels with an inclusion probability",
             [](const Window::Weighted& w) { return w.accuracy; });
    weighted("calserve_calibration_weighted_confidence_gap",
             "Mean confidence minus accuracy of all predictions, estimated likewise",
             [](const Window::Weighted& w) { return w.confidence_gap; });
    weighted("calserve_calibration_weighted_ece",
             "Expected calibration error of all predictions, estimated likewise",
             [](const Window::Weighted& w) { return w.ece; });
    AddSets(families, "calserve_calibration_set_coverage", "Share of prediction sets that held the label",
            [](const Window::Sets& sets) { return sets.coverage; });
    AddSets(families, "calserve_calibration_set_coverage_target",
            "Share that the sets promise to hold, 1 - alpha",
            [](const Window::Sets& sets) { return 1 - sets.alpha; });
    AddSets(families, "calserve_calibration_set_size", "Mean number of classes in a prediction set",
            [](const Window::Sets& sets) { return sets.mean_size; });
  }

  template <typename Value>
  void AddSets(Families& families, const char* name, const char* help, Value value) const {
    MetricFamily& family = AddGauge(families, name, help);
    for (const CalibrationValues& window : values_.calibration) {
      for (const CalibrationValues::Sets& sets : window.sets) {
        Put(family,
            {Label("model", window.model), Label("version", absl::StrCat(window.version)),
             Label("calibrator", absl::StrCat(window.calibrator)), Label("window", window.window),
             Label("method", sets.method), Label("alpha", Shortest(sets.alpha))},
            value(sets));
      }
    }
  }

  void AddAlarms(Families& families) const {
    const auto of = [](const AlarmFigures& alarm) -> Labels {
      return {Label("model", alarm.model), Label("version", absl::StrCat(alarm.version)),
              Label("calibrator", absl::StrCat(alarm.calibrator))};
    };
    MetricFamily& raised = AddGauge(families, "calserve_calibration_alarm_raised",
                                    "1 where the alarm of a version's active calibrator is raised, else 0");
    for (const AlarmFigures& alarm : values_.alarms) Put(raised, of(alarm), alarm.raised ? 1 : 0);
    MetricFamily& evidence = AddGauge(
        families, "calserve_calibration_alarm_e_value",
        "Evidence since the alarm's start that the mean gap is beyond its tolerance, in a direction");
    for (const AlarmFigures& alarm : values_.alarms) {
      Put(evidence, With(of(alarm), "direction", "overconfident"), alarm.e_overconfident);
      Put(evidence, With(of(alarm), "direction", "underconfident"), alarm.e_underconfident);
    }
    MetricFamily& threshold = AddGauge(families, "calserve_calibration_alarm_threshold",
                                       "E-value that raises the alarm of a version's active calibrator");
    for (const AlarmFigures& alarm : values_.alarms) Put(threshold, of(alarm), alarm.threshold);
  }

  void AddSlices(Families& families) const {
    const auto of = [](const SliceValues& slice) -> Labels {
      return {Label("model", slice.model), Label("version", absl::StrCat(slice.version)),
              Label("calibrator", absl::StrCat(slice.calibrator)), Label("slice_key", slice.key),
              Label("slice_value", slice.value)};
    };
    MetricFamily& alarms =
        AddGauge(families, "calserve_slice_alarm_raised",
                 "1 where the alarm of a slice of the active calibrator's labels is raised, else 0");
    for (const SliceValues& slice : values_.slices) Put(alarms, of(slice), slice.alarm ? 1 : 0);
    MetricFamily& labels = AddGauge(families, "calserve_slice_calibration_labels",
                                    "Labels of a slice in the window of a version's active calibrator");
    for (const SliceValues& slice : values_.slices) {
      if (!slice.window.empty()) {
        Put(labels, With(of(slice), "window", slice.window), static_cast<double>(slice.labels));
      }
    }
    MetricFamily& ece = AddGauge(families, "calserve_slice_calibration_ece",
                                 "Expected calibration error of a slice, of the probabilities as served");
    for (const SliceValues& slice : values_.slices) {
      if (!slice.window.empty() && slice.labels > 0) {
        Put(ece, With(of(slice), "window", slice.window), slice.ece);
      }
    }
  }

  void AddRefits(Families& families) const {
    MetricFamily& attempts =
        AddCounter(families, "calserve_refit_attempts_total",
                   "Automatic attempts to replace a version's calibrator, by how they ended");
    for (const RefitValues& refit : values_.refits) {
      for (const auto& [outcome, count] : OutcomesOf(refit)) {
        Put(attempts, With(Of(refit), "outcome", outcome), static_cast<double>(count));
      }
    }
    MetricFamily& last = AddGauge(families, "calserve_refit_last_outcome",
                                  "1 for how the last automatic attempt ended, 0 for the other outcomes");
    for (const RefitValues& refit : values_.refits) {
      for (const auto& [outcome, count] : OutcomesOf(refit)) {
        Put(last, With(Of(refit), "outcome", outcome), refit.last == outcome ? 1 : 0);
      }
    }
  }

  void AddDevices(Families& families) const {
    const auto gauge = [&](const char* name, const char* help, int64_t DeviceValues::*figure) {
      MetricFamily& family = AddGauge(families, name, help);
      for (const DeviceValues& device : values_.devices) {
        Put(family, {Label("device", device.device)}, static_cast<double>(device.*figure));
      }
    };
    gauge("calserve_device_memory_allocated_bytes",
          "Memory of an accelerator in use by this process's tensors", &DeviceValues::allocated_bytes);
    gauge("calserve_device_memory_reserved_bytes",
          "Memory of an accelerator that this process's allocator holds, in use or for reuse",
          &DeviceValues::reserved_bytes);
    gauge("calserve_device_memory_free_bytes", "Memory of an accelerator that no process holds",
          &DeviceValues::free_bytes);
    gauge("calserve_device_memory_size_bytes", "Memory of an accelerator", &DeviceValues::size_bytes);
  }

  void AddServer(Families& families) const {
    Put(AddGauge(families, "calserve_ready",
                 "1 while the server is ready, as /readyz and gRPC health say it"),
        {}, ready_ ? 1 : 0);
    Put(AddGauge(families, "calserve_build_info", "Always 1; the version of the server is a label"),
        {Label("version", CALSERVE_VERSION)}, 1);
    Put(AddGauge(families, "calserve_monitored_keys",
                 "Calibrator versions of model versions with windows; monitoring.max_keys bounds them"),
        {}, static_cast<double>(values_.monitored_keys));
    Put(AddCounter(families, "calserve_monitored_keys_dropped_total",
                   "Of those, the ones whose windows and alarm made room for others"),
        {}, static_cast<double>(values_.dropped_keys));
    Put(AddGauge(families, "calserve_monitoring_catching_up",
                 "1 while labels of before the start are not all in the windows yet"),
        {}, values_.catching_up ? 1 : 0);
    MetricFamily& failing = AddGauge(families, "calserve_monitoring_failing",
                                     "1 while labels cannot be folded into windows (fold), or the windows "
                                     "cannot be saved (checkpoint)");
    Put(failing, {Label("what", "fold")}, values_.log_fails ? 1 : 0);
    Put(failing, {Label("what", "checkpoint")}, values_.checkpoint_fails ? 1 : 0);
    Put(AddCounter(families, "calserve_audit_failures_total",
                   "Lines that could not be written to the audit file; actions are refused meanwhile"),
        {}, static_cast<double>(values_.audit_failures));
  }

  const ServerValues& values_;
  const bool ready_;
  const ProcessStats& process_;
};

}  // namespace

std::string MetricsText(const ServerValues& values, bool ready, const ProcessStats& process) {
  return prometheus::TextSerializer().Serialize(Collector(values, ready, process).Collect());
}

}  // namespace calserve
