#include "client/cli/json_output.h"

#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "calibration_io/json_reader.h"
#include "calibration_io/json_values.h"
#include "client/cli/alarm_text.h"
#include "client/cli/selection_text.h"
#include "client/errors.h"

namespace calserve::cli {
namespace {

using Json = nlohmann::ordered_json;

// What `predict --json` prints beside a ticket.
constexpr const char* kKeysOfPredictions[] = {
    "file",          "prediction_id",           "top_classes",
    "confidence",    "uncalibrated_confidence", "probabilities",
    "logits",        "prediction_set",          "model",
    "model_version", "calibrator_version",      "calibrator_method"};

Json TimeOrNull(const std::optional<absl::Time>& time) {
  return time.has_value() ? Json(TimeText(*time)) : Json(nullptr);
}

Json PointJson(const LogPoint& point) {
  return {{"position", point.position}, {"time", TimeText(absl::FromUnixMicros(point.time_micros))}};
}

}  // namespace

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

const char* StateName(client::CalibratorInfo::State state) {
  switch (state) {
    case client::CalibratorInfo::State::kFitted:
      return "FITTED";
    case client::CalibratorInfo::State::kActive:
      return "ACTIVE";
    case client::CalibratorInfo::State::kRetired:
      return "RETIRED";
    default:
      return "UNKNOWN";
  }
}

const char* StateName(client::ModelVersionInfo::State state) {
  switch (state) {
    case client::ModelVersionInfo::State::kLoading:
      return "LOADING";
    case client::ModelVersionInfo::State::kReady:
      return "READY";
    case client::ModelVersionInfo::State::kFailed:
      return "FAILED";
    case client::ModelVersionInfo::State::kUnloading:
      return "UNLOADING";
    case client::ModelVersionInfo::State::kUnavailable:
      return "UNAVAILABLE";
    default:
      return "UNKNOWN";
  }
}

const char* OutcomeName(client::FeedbackResult::Outcome outcome) {
  switch (outcome) {
    case client::FeedbackResult::Outcome::kAccepted:
      return "ACCEPTED";
    case client::FeedbackResult::Outcome::kDuplicate:
      return "DUPLICATE";
    default:
      return "REJECTED";
  }
}

namespace {

Json ToJson(const std::vector<client::ClassProbability>& classes) {
  Json out = Json::array();
  for (const client::ClassProbability& entry : classes) {
    out.push_back({{"index", entry.index}, {"label", entry.label}, {"probability", entry.probability}});
  }
  return out;
}

Json ToJson(const client::Prediction::Set& set) {
  return {{"method", ScoreName(set.method)},
          {"alpha", set.alpha},
          {"threshold", set.threshold},
          {"size", set.size},
          {"classes", ToJson(set.classes)}};
}

Json ToJson(const Estimate& estimate) {
  return {{"value", estimate.value},
          {"low", estimate.low.has_value() ? Json(*estimate.low) : Json(nullptr)},
          {"high", estimate.high.has_value() ? Json(*estimate.high) : Json(nullptr)}};
}

Json ToJson(const client::WindowReport::SetCoverage& coverage) {
  return {{"method", ScoreName(coverage.threshold.score)}, {"alpha", coverage.threshold.alpha},
          {"threshold", coverage.threshold.threshold},     {"n", coverage.n},
          {"coverage", ToJson(coverage.coverage)},         {"mean_size", coverage.mean_size}};
}

Json ToJson(const WeightedEstimates& weighted) {
  return {{"n", weighted.n},
          {"population", weighted.population},
          {"n_effective", weighted.n_effective},
          {"accuracy", ToJson(weighted.accuracy)},
          {"confidence_gap", ToJson(weighted.confidence_gap)},
          {"ece", weighted.ece},
          {"noise_floor", weighted.noise_floor}};
}

}  // namespace

Json ToJson(const client::Prediction& prediction) {
  Json out = {{"prediction_id", prediction.prediction_id},
              {"ticket", absl::Base64Escape(prediction.ticket)},
              {"top_classes", ToJson(prediction.top_classes)},
              {"confidence", prediction.confidence},
              {"uncalibrated_confidence", prediction.uncalibrated_confidence}};
  if (!prediction.probabilities.empty()) out["probabilities"] = prediction.probabilities;
  if (!prediction.logits.empty()) out["logits"] = prediction.logits;
  if (prediction.prediction_set.has_value()) out["prediction_set"] = ToJson(*prediction.prediction_set);
  return out;
}

Json ToJson(const client::FeedbackResult& result) {
  Json out = {{"outcome", OutcomeName(result.outcome)}, {"prediction_id", result.prediction_id}};
  if (result.outcome == client::FeedbackResult::Outcome::kRejected) {
    out["reason"] = result.reason;
    out["message"] = result.message;
  }
  return out;
}

Json ToJson(const client::WindowReport& report) {
  Json out = {{"model", report.model},
              {"model_version", report.model_version},
              {"calibrator_version", report.calibrator_version},
              {"window", report.window},
              {"as_of", {{"position", report.position}, {"time", TimeText(report.time)}}},
              {"served", MetricsToJsonValue(report.served)},
              {"uncalibrated", MetricsToJsonValue(report.uncalibrated)},
              {"catching_up", report.catching_up},
              {"truncated", report.truncated}};
  if (report.served_details.has_value()) out["served_details"] = DetailsToJsonValue(*report.served_details);
  if (report.uncalibrated_details.has_value()) {
    out["uncalibrated_details"] = DetailsToJsonValue(*report.uncalibrated_details);
  }
  if (report.shadow_after.has_value()) out["shadow_after_position"] = *report.shadow_after;
  if (report.alarm.has_value()) out["alarm"] = ToJson(*report.alarm);
  if (report.selection.has_value()) out["selection"] = ToJson(*report.selection);
  for (const client::WindowReport::SetCoverage& coverage : report.set_coverage) {
    out["set_coverage"].push_back(ToJson(coverage));
  }
  if (report.weighted.has_value()) out["weighted"] = ToJson(*report.weighted);
  if (report.slice.has_value()) out["slice"] = ToJson(*report.slice);
  return out;
}

Json ToJson(const client::AlarmInfo& alarm) {
  const AlarmStatus& status = alarm.status;
  Json out = {{"state", StateName(alarm.state)},
              {"tolerance", status.options.tolerance},
              {"alpha", status.options.alpha},
              {"labels", status.labels},
              {"e_overconfident", status.e_overconfident},
              {"e_underconfident", status.e_underconfident},
              {"threshold", status.threshold},
              {"e_exact", status.e_exact},
              {"direction", nullptr},
              {"since", nullptr},
              {"change_point", nullptr},
              {"acknowledgements", status.acknowledgements},
              {"acknowledged", status.acknowledged.has_value() ? PointJson(*status.acknowledged) : Json()}};
  if (status.raised.has_value()) {
    out["direction"] = absl::AsciiStrToUpper(DirectionName(status.raised->direction));
    out["since"] = PointJson(status.raised->since);
    out["change_point"] = PointJson(status.raised->change_point);
  }
  return out;
}

Json ToJson(const client::LabelSelection& selection) {
  const auto seconds = [&](absl::Duration delay) {
    return selection.labels > 0 ? Json(absl::ToDoubleSeconds(delay)) : Json();
  };
  return {{"state", StateName(selection.state)},
          {"since", TimeText(selection.since)},
          {"issued", selection.issued},
          {"labelled", selection.labelled},
          {"labelled_share", selection.labelled_share},
          {"mean_confidence_issued", selection.mean_confidence_issued},
          {"mean_confidence_labelled", selection.mean_confidence_labelled},
          {"labels", selection.labels},
          {"mean_label_delay_seconds", seconds(selection.mean_label_delay)},
          {"median_label_delay_seconds", seconds(selection.median_label_delay)}};
}

Json ToJson(const client::ModelAlarm& alarm) {
  Json out = {{"model", alarm.model},
              {"model_version", alarm.model_version},
              {"calibrator_version", alarm.calibrator_version},
              {"alarm", ToJson(alarm.alarm)}};
  if (alarm.slice.has_value()) out["slice"] = ToJson(*alarm.slice);
  return out;
}

Json ToJson(const client::Slice& slice) { return {{"key", slice.key}, {"value", slice.value}}; }

Json ToJson(const client::CalibratorComparison& comparison) {
  return {{"incumbent", comparison.incumbent},
          {"candidate", comparison.candidate},
          {"n", comparison.n},
          {"nll_difference", comparison.nll_difference},
          {"standard_error", comparison.standard_error},
          {"incumbent_ece", comparison.incumbent_ece},
          {"candidate_ece", comparison.candidate_ece},
          {"incumbent_accuracy", comparison.incumbent_accuracy},
          {"candidate_accuracy", comparison.candidate_accuracy},
          {"log_e_value", comparison.log_e_value},
          {"first_position", comparison.first_position},
          {"last_position", comparison.last_position}};
}

Json ToJson(const client::CalibratorInfo& calibrator) {
  CalibratorSpec spec;
  spec.parameters = calibrator.parameters;
  spec.set_thresholds = calibrator.set_thresholds;
  Json out = {
      {"model", calibrator.model},
      {"model_version", calibrator.model_version},
      {"version", calibrator.version},
      {"method", calibrator.method},
      {"state", StateName(calibrator.state)},
      {"parameters", ParametersToJsonValue(spec)},
      {"set_thresholds", SetThresholdsToJsonValue(spec)},
      {"digest", calibrator.digest},
      {"origin", calibrator.origin},
      {"create_time", TimeOrNull(calibrator.created)},
      {"activate_time", TimeOrNull(calibrator.activated)},
      {"report", calibrator.report.has_value() ? FitReportToJsonValue(*calibrator.report) : Json(nullptr)},
      {"fit_position", calibrator.fit_position},
      {"note", calibrator.note}};
  if (calibrator.comparison.has_value()) out["comparison"] = ToJson(*calibrator.comparison);
  return out;
}

Json ToJson(const client::ModelInfo& model) {
  Json versions = Json::array();
  for (const client::ModelVersionInfo& version : model.versions) {
    versions.push_back({{"version", version.version},
                        {"state", StateName(version.state)},
                        {"reason", version.reason},
                        {"version_labels", version.version_labels},
                        {"format", version.format},
                        {"device", version.device},
                        {"digest", version.digest},
                        {"active_calibrator", ToJson(version.active_calibrator)}});
  }
  Json traffic = Json::object();
  for (const auto& [label, weight] : model.traffic) traffic[label] = weight;
  return {{"name", model.name},
          {"reason", model.reason},
          {"task", model.task},
          {"input_kind", model.input_kind},
          {"input_shape", model.input_shape},
          {"labels", model.labels},
          {"max_batch_size", model.max_batch_size},
          {"traffic", std::move(traffic)},
          {"versions", std::move(versions)}};
}

Json ToJson(const absl::Status& error) {
  return {{"code", absl::StatusCodeToString(error.code())},
          {"reason", client::ErrorReason(error)},
          {"message", std::string(error.message())}};
}

absl::StatusOr<std::string> TicketFromBase64(absl::string_view text) {
  std::string ticket;
  if (text.empty() || !absl::Base64Unescape(text, &ticket)) {
    return absl::InvalidArgumentError("a ticket must be base64, as `calserve predict --json` prints it");
  }
  return ticket;
}

absl::StatusOr<client::Feedback> FeedbackFromJson(absl::string_view line) {
  const absl::StatusOr<Json> json = ParseJson(line);
  if (!json.ok()) return json.status();
  absl::Status error;
  JsonReader reader(*json, "", &error);
  absl::StatusOr<std::string> ticket = TicketFromBase64(reader.String("ticket"));
  const Json& label = reader.Required("label");
  if (!error.ok()) return error;
  if (!ticket.ok()) return ticket.status();
  client::Feedback out{*std::move(ticket), {}};
  if (label.is_string()) {
    out.label = label.get<std::string>();
  } else if (label.is_number_integer() && label >= 0 && label <= std::numeric_limits<int32_t>::max()) {
    out.label = label.get<int32_t>();
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("label must be a class name or index; was ", label.dump()));
  }
  out.inclusion_probability = reader.OptionalNumber("inclusion_probability");
  for (const char* const key : kKeysOfPredictions) reader.Optional(key);
  reader.RefuseOtherKeys();
  if (!error.ok()) return error;
  return out;
}

}  // namespace calserve::cli
