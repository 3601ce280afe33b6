#include "client/proto_convert.h"

#include "absl/strings/strip.h"
#include "calibration_io/alarm_proto.h"
#include "calibration_io/calibration_proto.h"
#include "client/errors.h"

namespace calserve::client {
namespace {

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

void SetTime(absl::Time time, google::protobuf::Timestamp* out) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  out->set_seconds(seconds);
  out->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
}

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

CalibratorInfo::State StateFromProto(v1::CalibratorState state) {
  switch (state) {
    case v1::CALIBRATOR_STATE_FITTED:
      return CalibratorInfo::State::kFitted;
    case v1::CALIBRATOR_STATE_ACTIVE:
      return CalibratorInfo::State::kActive;
    case v1::CALIBRATOR_STATE_RETIRED:
      return CalibratorInfo::State::kRetired;
    default:
      return CalibratorInfo::State::kUnknown;
  }
}

ModelVersionInfo VersionFromProto(const v1::ModelVersion& version) {
  ModelVersionInfo out;
  out.version = version.version();
  switch (version.state()) {
    case v1::MODEL_STATE_LOADING:
      out.state = ModelVersionInfo::State::kLoading;
      break;
    case v1::MODEL_STATE_READY:
      out.state = ModelVersionInfo::State::kReady;
      break;
    case v1::MODEL_STATE_FAILED:
      out.state = ModelVersionInfo::State::kFailed;
      break;
    case v1::MODEL_STATE_UNLOADING:
      out.state = ModelVersionInfo::State::kUnloading;
      break;
    case v1::MODEL_STATE_UNAVAILABLE:
      out.state = ModelVersionInfo::State::kUnavailable;
      break;
    default:
      break;
  }
  out.reason = version.reason();
  out.version_labels.assign(version.version_labels().begin(), version.version_labels().end());
  out.format = version.format();
  out.device = version.device();
  out.digest = version.digest();
  out.active_calibrator = FromProto(version.active_calibrator());
  return out;
}

Prediction PredictionFromProto(v1::Prediction&& prediction) {
  Prediction out;
  out.prediction_id = std::move(*prediction.mutable_prediction_id());
  out.ticket = std::move(*prediction.mutable_ticket());
  for (v1::ClassProbability& top : *prediction.mutable_top_classes()) {
    out.top_classes.push_back({top.index(), std::move(*top.mutable_label()), top.probability()});
  }
  out.confidence = prediction.confidence();
  out.uncalibrated_confidence = prediction.uncalibrated_confidence();
  out.probabilities.assign(prediction.probabilities().begin(), prediction.probabilities().end());
  out.logits.assign(prediction.logits().begin(), prediction.logits().end());
  if (prediction.has_prediction_set()) {
    v1::PredictionSet& set = *prediction.mutable_prediction_set();
    Prediction::Set& to = out.prediction_set.emplace();
    to.method = SetMethodFromProto(set.method());
    to.alpha = set.alpha();
    to.threshold = set.threshold();
    to.size = set.size();
    for (v1::ClassProbability& in : *set.mutable_classes()) {
      to.classes.push_back({in.index(), std::move(*in.mutable_label()), in.probability()});
    }
  }
  return out;
}

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

LabelSelection SelectionFromProto(const v1::LabelSelection& selection) {
  using State = LabelSelection::State;
  LabelSelection out;
  if (selection.state() == v1::SELECTION_STATE_TOO_FEW_LABELS) out.state = State::kTooFewLabels;
  if (selection.state() == v1::SELECTION_STATE_NO_DIFFERENCE) out.state = State::kNoDifference;
  if (selection.state() == v1::SELECTION_STATE_SELECTIVE_LABELS) out.state = State::kSelectiveLabels;
  out.since = ToTime(selection.since());
  out.issued = selection.issued();
  out.labelled = selection.labelled();
  out.labelled_share = selection.labelled_share();
  out.mean_confidence_issued = selection.mean_confidence_issued();
  out.mean_confidence_labelled = selection.mean_confidence_labelled();
  out.labels = selection.labels();
  out.mean_label_delay = ToDuration(selection.mean_label_delay());
  out.median_label_delay = ToDuration(selection.median_label_delay());
  return out;
}

WeightedEstimates WeightedFromProto(const v1::WeightedEstimates& weighted) {
  WeightedEstimates out;
  out.n = weighted.n();
  out.population = weighted.population();
  out.n_effective = weighted.n_effective();
  out.accuracy = EstimateFromProto(weighted.accuracy());
  out.confidence_gap = EstimateFromProto(weighted.confidence_gap());
  out.ece = weighted.ece();
  out.noise_floor = weighted.noise_floor();
  return out;
}

AlarmInfo AlarmInfoFromProto(const v1::CalibrationAlarm& alarm) {
  AlarmInfo out;
  if (alarm.state() == v1::ALARM_STATE_QUIET) out.state = AlarmInfo::State::kQuiet;
  if (alarm.state() == v1::ALARM_STATE_RAISED) out.state = AlarmInfo::State::kRaised;
  if (alarm.state() == v1::ALARM_STATE_NOT_ACTIVE) out.state = AlarmInfo::State::kNotActive;
  out.status = AlarmFromProto(alarm);
  return out;
}

std::optional<Slice> SliceFromProto(bool has, const v1::Slice& slice) {
  return has ? std::make_optional(Slice{slice.key(), slice.value()}) : std::nullopt;
}

void AddAttributes(const std::vector<std::pair<std::string, std::string>>& attributes,
                   google::protobuf::RepeatedPtrField<v1::Attribute>* out) {
  for (const auto& [key, value] : attributes) {
    v1::Attribute& to = *out->Add();
    to.set_key(key);
    to.set_value(value);
  }
}

}  // namespace

v1::Input ToProto(const Input& input) {
  v1::Input out;
  std::visit(Overloaded{[&](const EncodedImage& image) { out.set_encoded_image(image.bytes); },
                        [&](const Tensor& tensor) {
                          v1::Tensor& to = *out.mutable_tensor();
                          to.set_data_type(tensor.data_type == Tensor::DataType::kUint8
                                               ? v1::DATA_TYPE_UINT8
                                               : v1::DATA_TYPE_FLOAT32);
                          to.mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
                          to.set_data(tensor.data);
                        }},
             input.content);
  AddAttributes(input.attributes, out.mutable_attributes());
  return out;
}

v1::PredictRequest ToProto(const PredictRequest& request) {
  v1::PredictRequest out;
  out.set_model(request.model);
  out.set_model_version(request.model_version);
  out.set_version_label(request.version_label);
  out.set_routing_key(request.routing_key);
  for (const Input& input : request.inputs) *out.add_inputs() = ToProto(input);
  out.mutable_options()->set_top_k(request.top_k);
  out.mutable_options()->set_priority(request.priority);
  out.mutable_options()->set_return_logits(request.return_logits);
  out.mutable_options()->set_return_probabilities(request.return_probabilities);
  if (request.prediction_set.has_value()) {
    v1::PredictionSetRequest& set = *out.mutable_options()->mutable_prediction_set();
    set.set_method(SetMethodToProto(request.prediction_set->method));
    set.set_alpha(request.prediction_set->alpha);
  }
  return out;
}

v1::FeedbackItem ToProto(const Feedback& feedback) {
  v1::FeedbackItem out;
  out.set_ticket(feedback.ticket);
  std::visit(Overloaded{[&](int32_t index) { out.set_class_index(index); },
                        [&](const std::string& name) { out.set_class_name(name); }},
             feedback.label);
  if (feedback.inclusion_probability.has_value()) {
    out.set_inclusion_probability(*feedback.inclusion_probability);
  }
  return out;
}

v1::Slice ToProto(const Slice& slice) {
  v1::Slice out;
  out.set_key(slice.key);
  out.set_value(slice.value);
  return out;
}

v1::StoredSelection ToProto(const StoredSelection& selection) {
  v1::StoredSelection out;
  if (selection.start.has_value()) SetTime(*selection.start, out.mutable_start_time());
  if (selection.end.has_value()) SetTime(*selection.end, out.mutable_end_time());
  out.mutable_sources()->Add(selection.sources.begin(), selection.sources.end());
  out.mutable_excluded_sources()->Add(selection.excluded_sources.begin(), selection.excluded_sources.end());
  out.set_max_rows(selection.max_rows);
  AddAttributes(selection.attributes, out.mutable_attributes());
  return out;
}

v1::GetCalibrationReportRequest ToProto(const ReportRequest& request) {
  v1::GetCalibrationReportRequest out;
  out.set_model(request.model);
  out.set_model_version(request.model_version);
  if (request.calibrator_version.has_value()) out.set_calibrator_version(*request.calibrator_version);
  std::visit(
      Overloaded{[&](const std::string& window) { out.set_window(window); },
                 [&](const StoredSelection& selection) { *out.mutable_stored() = ToProto(selection); }},
      request.data);
  out.set_detailed(request.detailed);
  for (const std::string& path : request.report_mask) out.mutable_report_mask()->add_paths(path);
  if (request.slice.has_value()) *out.mutable_slice() = ToProto(*request.slice);
  return out;
}

v1::WatchCalibrationRequest ToProto(const WatchRequest& request) {
  v1::WatchCalibrationRequest out;
  out.set_model(request.model);
  out.set_model_version(request.model_version);
  if (request.calibrator_version.has_value()) out.set_calibrator_version(*request.calibrator_version);
  out.mutable_windows()->Add(request.windows.begin(), request.windows.end());
  const int64_t nanos = absl::ToInt64Nanoseconds(request.min_interval);
  out.mutable_min_interval()->set_seconds(nanos / 1'000'000'000);
  out.mutable_min_interval()->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  for (const std::string& path : request.report_mask) out.mutable_report_mask()->add_paths(path);
  if (request.slice.has_value()) *out.mutable_slice() = ToProto(*request.slice);
  return out;
}

v1::FitSpecification ToProto(const FitRequest& request) {
  v1::FitSpecification out;
  out.set_model(request.model);
  out.set_model_version(request.model_version);
  out.set_method(MethodToProto(request.method));
  out.set_folds(request.folds);
  out.set_holdout(request.holdout);
  out.set_outer_folds(request.outer_folds);
  out.mutable_set_alphas()->Add(request.set_alphas.begin(), request.set_alphas.end());
  if (const auto* stored = std::get_if<StoredSelection>(&request.data)) {
    *out.mutable_stored() = ToProto(*stored);
  } else {
    out.mutable_uploaded();
  }
  return out;
}

PredictResponse FromProto(v1::PredictResponse&& response) {
  PredictResponse out;
  out.model = std::move(*response.mutable_model());
  out.model_version = response.model_version();
  out.calibrator_version = response.calibrator_version();
  out.calibrator_method = std::move(*response.mutable_calibrator_method());
  for (v1::Prediction& prediction : *response.mutable_predictions()) {
    out.predictions.push_back(PredictionFromProto(std::move(prediction)));
  }
  out.queued = absl::Microseconds(response.timing().queue_micros());
  out.decoding = absl::Microseconds(response.timing().decode_micros());
  out.in_model = absl::Microseconds(response.timing().model_micros());
  return out;
}

FeedbackResult FromProto(const v1::FeedbackResult& result) {
  FeedbackResult out;
  if (result.outcome() == v1::FEEDBACK_OUTCOME_ACCEPTED) out.outcome = FeedbackResult::Outcome::kAccepted;
  if (result.outcome() == v1::FEEDBACK_OUTCOME_DUPLICATE) out.outcome = FeedbackResult::Outcome::kDuplicate;
  if (out.outcome == FeedbackResult::Outcome::kRejected) {
    out.reason =
        std::string(absl::StripPrefix(v1::RejectionReason_Name(result.reason()), "REJECTION_REASON_"));
  }
  out.message = result.message();
  out.prediction_id = result.prediction_id();
  return out;
}

WindowReport FromProto(const v1::WindowReport& report) {
  WindowReport out;
  out.model = report.model();
  out.model_version = report.model_version();
  out.calibrator_version = report.calibrator_version();
  out.window = report.window();
  out.position = report.as_of().position();
  out.time = ToTime(report.as_of().time());
  out.served = MetricsFromProto(report.served());
  out.uncalibrated = MetricsFromProto(report.uncalibrated());
  out.catching_up = report.catching_up();
  out.truncated = report.truncated();
  if (report.has_served_details()) out.served_details = DetailsFromProto(report.served_details());
  if (report.has_uncalibrated_details()) {
    out.uncalibrated_details = DetailsFromProto(report.uncalibrated_details());
  }
  if (report.shadow()) out.shadow_after = report.shadow_after_position();
  if (report.has_alarm()) out.alarm = AlarmInfoFromProto(report.alarm());
  if (report.has_selection()) out.selection = SelectionFromProto(report.selection());
  for (const v1::SetCoverage& coverage : report.set_coverage()) {
    out.set_coverage.push_back(
        {{SetMethodFromProto(coverage.method()), coverage.alpha(), coverage.threshold()},
         coverage.n(),
         EstimateFromProto(coverage.coverage()),
         coverage.mean_size()});
  }
  if (report.has_weighted()) out.weighted = WeightedFromProto(report.weighted());
  out.slice = SliceFromProto(report.has_slice(), report.slice());
  return out;
}

ModelAlarm FromProto(const v1::ModelAlarm& alarm) {
  return {alarm.model(), alarm.model_version(), alarm.calibrator_version(), AlarmInfoFromProto(alarm.alarm()),
          SliceFromProto(alarm.has_slice(), alarm.slice())};
}

CalibratorInfo FromProto(const v1::Calibrator& calibrator) {
  CalibratorInfo out;
  out.model = calibrator.model();
  out.model_version = calibrator.model_version();
  out.version = calibrator.version();
  out.method = calibrator.method();
  out.state = StateFromProto(calibrator.state());
  out.parameters = ParametersFromProto(calibrator);
  out.set_thresholds = SetThresholdsFromProto(calibrator);
  out.digest = calibrator.digest();
  out.origin = calibrator.origin();
  if (calibrator.has_create_time()) out.created = ToTime(calibrator.create_time());
  if (calibrator.has_activate_time()) out.activated = ToTime(calibrator.activate_time());
  if (calibrator.has_report()) out.report = FitReportFromProto(calibrator.report());
  out.fit_position = calibrator.fit_position();
  out.note = calibrator.note();
  return out;
}

CalibratorComparison FromProto(const v1::PairedComparison& comparison) {
  CalibratorComparison out;
  out.incumbent = comparison.incumbent_version();
  out.candidate = comparison.candidate_version();
  out.n = comparison.n();
  out.nll_difference = comparison.nll_difference();
  out.standard_error = comparison.standard_error();
  out.incumbent_ece = comparison.incumbent_ece();
  out.candidate_ece = comparison.candidate_ece();
  out.incumbent_accuracy = comparison.incumbent_accuracy();
  out.candidate_accuracy = comparison.candidate_accuracy();
  out.log_e_value = comparison.log_e_value();
  out.first_position = comparison.first_position();
  out.last_position = comparison.last_position();
  return out;
}

ModelInfo FromProto(const v1::Model& model) {
  ModelInfo out;
  out.name = model.name();
  out.task = model.task();
  out.input_kind = model.input_kind();
  out.input_shape.assign(model.input_shape().begin(), model.input_shape().end());
  out.labels.assign(model.labels().begin(), model.labels().end());
  out.max_batch_size = model.max_batch_size();
  for (const v1::ModelVersion& version : model.versions()) out.versions.push_back(VersionFromProto(version));
  out.reason = model.reason();
  for (const v1::TrafficShare& share : model.traffic())
    out.traffic.emplace_back(share.version_label(), share.weight());
  out.default_version = model.default_version();
  return out;
}

absl::Status FromProto(const v1::Failure& failure) {
  absl::Status status(static_cast<absl::StatusCode>(failure.code()), failure.message());
  if (status.ok()) return absl::InternalError("the server reported a failure with code OK");
  if (!failure.reason().empty()) AddReason(failure.reason(), &status);
  if (failure.retry_after_millis() > 0)
    AddRetryAfter(absl::Milliseconds(failure.retry_after_millis()), &status);
  return status;
}

}  // namespace calserve::client
