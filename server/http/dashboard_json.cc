#include "server/http/dashboard_json.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace calserve {
namespace {

using Json = nlohmann::json;

std::string Text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value.has_value() ? Json(*value) : Json(nullptr);
}

int64_t Millis(absl::Time time) { return absl::ToUnixMillis(time); }

Json Of(const SideValues& side) {
  Json bins = Json::array();
  for (const BinValues& bin : side.bins) {
    bins.push_back({{"lower", bin.lower},
                    {"upper", bin.upper},
                    {"count", bin.count},
                    {"confidence", bin.confidence},
                    {"accuracy", bin.accuracy},
                    {"accuracy_low", OrNull(bin.accuracy_low)},
                    {"accuracy_high", OrNull(bin.accuracy_high)}});
  }
  return {{"n", side.n},
          {"accuracy", side.accuracy},
          {"mean_confidence", side.mean_confidence},
          {"ece", side.ece},
          {"ece_low", OrNull(side.ece_low)},
          {"ece_high", OrNull(side.ece_high)},
          {"noise_floor", side.noise_floor},
          {"mce", side.mce},
          {"nll", OrNull(side.nll)},
          {"brier", OrNull(side.brier)},
          {"bins", std::move(bins)}};
}

Json Of(const AlarmValues& alarm) {
  Json json = {{"raised", alarm.raised},
               {"e_overconfident", alarm.e_overconfident},
               {"e_underconfident", alarm.e_underconfident},
               {"threshold", alarm.threshold},
               {"tolerance", alarm.tolerance},
               {"alpha", alarm.alpha},
               {"labels", alarm.labels}};
  if (!alarm.raised) return json;
  json["direction"] = alarm.overconfident ? "overconfident" : "underconfident";
  json["since_position"] = alarm.since_position;
  json["since"] = Millis(alarm.since);
  json["change_position"] = alarm.change_position;
  json["change"] = Millis(alarm.change);
  return json;
}

Json Of(const TrafficValues& traffic) {
  return {{"requests", traffic.requests},
          {"failures", traffic.failures},
          {"p50", OrNull(traffic.p50)},
          {"p99", OrNull(traffic.p99)},
          {"mean_batch", OrNull(traffic.mean_batch)},
          {"queued_rows", traffic.queued_rows},
          {"instances", traffic.instances},
          {"busy_instances", traffic.busy_instances}};
}

Json Of(const VersionValues& version) {
  Json json = {{"version", version.version},
               {"state", version.state},
               {"reason", version.reason},
               {"labels", version.labels}};
  if (version.state != "READY") return json;
  json["format"] = version.format;
  json["device"] = version.device;
  json["calibrator"] = version.calibrator;
  json["method"] = version.method;
  json["alarm"] = Of(version.alarm);
  json["traffic"] = Of(version.traffic);
  json["window_labels"] = version.window_labels;
  json["ece"] = version.window_labels > 0 ? Json(version.ece) : Json(nullptr);
  return json;
}

Json Of(const ModelRow& model) {
  Json versions = Json::array();
  for (const VersionValues& version : model.versions) versions.push_back(Of(version));
  return {{"name", model.name},
          {"reason", model.reason},
          {"default_version", model.default_version},
          {"versions", std::move(versions)}};
}

Json Of(const WatchedValues& watched) {
  return {{"model", watched.watch.model},
          {"version", watched.watch.version},
          {"window", watched.watch.window},
          {"calibrator", watched.calibrator},
          {"method", watched.method},
          {"position", watched.position},
          {"truncated", watched.truncated},
          {"served", Of(watched.served)},
          {"uncalibrated", Of(watched.uncalibrated)},
          {"alarm", Of(watched.alarm)},
          {"issued", watched.issued},
          {"labelled", watched.labelled},
          {"selective", watched.selective},
          {"traffic", Of(watched.traffic)}};
}

Json Of(const FitFigures& figures) {
  return {{"ece", figures.ece}, {"nll", OrNull(figures.nll)}, {"accuracy", figures.accuracy}};
}

Json Of(const CalibratorValues::Fit& fit) {
  return {{"n", fit.n},
          {"converged", fit.converged},
          {"at_bound", fit.at_bound},
          {"selected_optimistic", fit.selected_optimistic},
          {"iterations", fit.iterations},
          {"folds", fit.folds},
          {"holdout", fit.holdout},
          {"changed_predictions", fit.changed_predictions},
          {"before", Of(fit.before)},
          {"after", Of(fit.after)},
          {"cross_validated", fit.cross_validated.has_value() ? Of(*fit.cross_validated) : Json(nullptr)}};
}

Json Of(const CalibratorValues& calibrator) {
  Json parameters = Json::array();
  for (const CalibratorValues::Parameter& parameter : calibrator.parameters) {
    parameters.push_back({{"name", parameter.name}, {"values", parameter.values}});
  }
  return {
      {"model_version", calibrator.model_version},
      {"version", calibrator.version},
      {"method", calibrator.method},
      {"origin", calibrator.origin},
      {"state", calibrator.state},
      {"digest", calibrator.digest},
      {"created", Millis(calibrator.created)},
      {"activated", calibrator.activated.has_value() ? Json(Millis(*calibrator.activated)) : Json(nullptr)},
      {"parameters", std::move(parameters)},
      {"fit", calibrator.fit.has_value() ? Of(*calibrator.fit) : Json(nullptr)}};
}

}  // namespace

std::string ToJson(const DashboardValues& values) {
  Json models = Json::array();
  for (const ModelRow& model : values.models) models.push_back(Of(model));
  return Text({{"not_ready", OrNull(values.not_ready)},
               {"catching_up", values.catching_up},
               {"windows", values.windows},
               {"models", std::move(models)},
               {"watched", values.watched.has_value() ? Of(*values.watched) : Json(nullptr)}});
}

std::string ToJson(const HistoryValues& values) {
  Json calibration = {{"time", Json::array()},  {"calibrator", Json::array()},  {"n", Json::array()},
                      {"ece", Json::array()},   {"ece_low", Json::array()},     {"ece_high", Json::array()},
                      {"noise", Json::array()}, {"uncalibrated", Json::array()}};
  for (const CalibrationPoint& point : values.calibration) {
    const bool labels = point.n > 0;
    const auto figure = [labels](double value) { return labels ? Json(value) : Json(nullptr); };
    calibration["time"].push_back(Millis(point.time));
    calibration["calibrator"].push_back(point.calibrator);
    calibration["n"].push_back(point.n);
    calibration["ece"].push_back(figure(point.ece));
    calibration["ece_low"].push_back(OrNull(point.ece_low));
    calibration["ece_high"].push_back(OrNull(point.ece_high));
    calibration["noise"].push_back(figure(point.noise_floor));
    calibration["uncalibrated"].push_back(figure(point.uncalibrated_ece));
  }
  Json traffic = {{"time", Json::array()},
                  {"requests", Json::array()},
                  {"failures", Json::array()},
                  {"p50", Json::array()},
                  {"p99", Json::array()}};
  for (const TrafficPoint& point : values.traffic) {
    traffic["time"].push_back(Millis(point.time));
    traffic["requests"].push_back(point.requests);
    traffic["failures"].push_back(point.failures);
    traffic["p50"].push_back(OrNull(point.p50));
    traffic["p99"].push_back(OrNull(point.p99));
  }
  return Text({{"calibration", std::move(calibration)}, {"traffic", std::move(traffic)}});
}

std::string ToJson(const std::vector<CalibratorValues>& calibrators) {
  Json all = Json::array();
  for (const CalibratorValues& calibrator : calibrators) all.push_back(Of(calibrator));
  Json json = Json::object();
  json["calibrators"] = std::move(all);
  return Text(json);
}

std::string ToJson(const SessionValues& session) {
  return Text({{"authentication", session.authentication},
               {"admin", session.admin},
               {"name", session.name},
               {"version", session.version}});
}

std::string ErrorToJson(const absl::Status& error) {
  Json json = Json::object();
  json["error"]["code"] = absl::StatusCodeToString(error.code());
  json["error"]["message"] = std::string(error.message());
  return Text(json);
}

}  // namespace calserve
