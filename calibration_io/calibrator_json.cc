#include "calibration_io/calibrator_json.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "calibration_io/file.h"
#include "calibration_io/json_reader.h"
#include "calibration_io/json_values.h"

namespace calserve {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kFormat[] = "calserve.calibrator.v1";

CalibrationMetrics ReadMetrics(const Json& json, const std::string& path, absl::Status* error) {
  JsonReader reader(json, path, error);
  CalibrationMetrics out;
  out.n = reader.Integer("n");
  out.n_effective = reader.Number("n_effective");
  out.accuracy = reader.Number("accuracy");
  out.mean_confidence = reader.Number("mean_confidence");
  out.ece = reader.Number("ece");
  out.ece_low = reader.OptionalNumber("ece_low");
  out.ece_high = reader.OptionalNumber("ece_high");
  out.noise_floor = reader.Number("noise_floor");
  out.mce = reader.Number("mce");
  out.n_with_logits = reader.Integer("n_with_logits");
  out.nll = reader.OptionalNumber("nll");
  out.brier = reader.OptionalNumber("brier");
  const Json& bins = reader.Required("bins");
  if (!bins.is_array() || bins.size() > kMaxBins) {
    reader.Fail(reader.PathOf("bins"), absl::StrCat("must be an array of at most ", kMaxBins, " bins"));
    return out;
  }
  for (size_t i = 0; i < bins.size(); ++i) {
    JsonReader bin(bins[i], absl::StrCat(reader.PathOf("bins"), "[", i, "]"), error);
    out.bins.push_back({bin.Number("lower"), bin.Number("upper"), bin.Number("count"),
                        bin.Number("confidence"), bin.Number("accuracy")});
    bin.RefuseOtherKeys();
  }
  reader.RefuseOtherKeys();
  return out;
}

std::vector<MethodComparison> ReadComparison(const Json& json, JsonReader* report, absl::Status* error) {
  constexpr size_t kMostMethods = 100;
  std::vector<MethodComparison> out;
  if (!json.is_array() || json.size() > kMostMethods) {
    report->Fail(report->PathOf("comparison"),
                 absl::StrCat("must be an array of at most ", kMostMethods, " methods"));
    return out;
  }
  for (size_t i = 0; i < json.size(); ++i) {
    JsonReader row(json[i], absl::StrCat(report->PathOf("comparison"), "[", i, "]"), error);
    const absl::StatusOr<CalibrationMethod> method = ParseMethod(row.String("method"));
    if (!method.ok()) row.Fail(row.PathOf("method"), std::string(method.status().message()));
    out.push_back({method.value_or(CalibrationMethod::kNone), row.String("failure"), row.Number("ece"),
                   row.Number("nll"), row.Number("brier"), row.Number("accuracy_change"),
                   row.Number("nll_excess"), row.Number("standard_error"), row.Number("seconds")});
    row.RefuseOtherKeys();
  }
  return out;
}

FitReport ReadReport(const Json& json, absl::Status* error) {
  JsonReader reader(json, "report", error);
  FitReport out;
  out.n = reader.Integer("n");
  out.converged = reader.Bool("converged");
  out.iterations = static_cast<int>(reader.Integer("iterations"));
  out.at_bound = reader.Bool("at_bound");
  out.folds = static_cast<int>(reader.Integer("folds"));
  out.changed_predictions = reader.Number("changed_predictions");
  out.before = ReadMetrics(reader.Required("before"), "report.before", error);
  out.after = ReadMetrics(reader.Required("after"), "report.after", error);
  if (const Json* metrics = reader.Optional("cross_validated")) {
    out.cross_validated = ReadMetrics(*metrics, "report.cross_validated", error);
  }
  // Files of before these were have none of them.
  out.holdout = reader.OptionalNumber("holdout").value_or(0);
  if (reader.Optional("selected_optimistic") != nullptr) {
    out.selected_optimistic = reader.Bool("selected_optimistic");
  }
  if (const Json* comparison = reader.Optional("comparison")) {
    out.comparison = ReadComparison(*comparison, &reader, error);
  }
  reader.RefuseOtherKeys();
  return out;
}

// Range and number are Calibrator::Create's to judge.
std::vector<SetThreshold> ReadSetThresholds(const Json& json, JsonReader* document, absl::Status* error) {
  std::vector<SetThreshold> out;
  if (!json.is_array() || json.size() > kMaxSetThresholds) {
    document->Fail("set_thresholds",
                   absl::StrCat("must be an array of at most ", kMaxSetThresholds, " thresholds"));
    return out;
  }
  for (size_t i = 0; i < json.size(); ++i) {
    JsonReader row(json[i], absl::StrCat("set_thresholds[", i, "]"), error);
    const std::string method = row.String("method");
    const bool aps = method == ScoreName(ConformalScore::kAps);
    if (!aps && method != ScoreName(ConformalScore::kThr)) {
      row.Fail(row.PathOf("method"), absl::StrCat("must be \"THR\" or \"APS\"; was \"", method, "\""));
    }
    out.push_back({aps ? ConformalScore::kAps : ConformalScore::kThr, row.Number("alpha"),
                   row.Number("threshold"), row.Integer("n")});
    row.RefuseOtherKeys();
  }
  return out;
}

// Numbers only; length, range and names are Calibrator::Create's to judge.
std::vector<CalibratorSpec::Parameter> ReadParameters(JsonReader* reader) {
  std::vector<CalibratorSpec::Parameter> out;
  const Json& parameters = reader->Required("parameters");
  if (!parameters.is_object()) {
    reader->Fail("parameters", "must be a JSON object of numbers and arrays of numbers");
    return out;
  }
  for (const auto& item : parameters.items()) {
    CalibratorSpec::Parameter parameter{item.key(), {}};
    const auto add = [&](const Json& value) {
      if (!value.is_number()) {
        reader->Fail(absl::StrCat("parameters.", item.key()), "must be a number or an array of numbers");
      } else {
        parameter.values.push_back(value.get<double>());
      }
    };
    if (item.value().is_array()) {
      for (const Json& value : item.value()) add(value);
    } else {
      add(item.value());
    }
    out.push_back(std::move(parameter));
  }
  return out;
}

}  // namespace

std::string CalibratorToJson(const CalibratorDocument& document) {
  Json json = {{"format", kFormat},
               {"method", MethodName(document.spec.method)},
               {"classes", document.spec.classes},
               {"parameters", ParametersToJsonValue(document.spec)}};
  if (!document.spec.set_thresholds.empty()) json["set_thresholds"] = SetThresholdsToJsonValue(document.spec);
  if (document.report.has_value()) json["report"] = FitReportToJsonValue(*document.report);
  return json.dump(2) + "\n";
}

absl::StatusOr<CalibratorDocument> CalibratorFromJson(absl::string_view text) {
  const absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) return json.status();
  absl::Status error;
  JsonReader reader(*json, "", &error);
  CalibratorDocument out;
  if (const std::string format = reader.String("format"); format != kFormat) {
    reader.Fail("format", absl::StrCat("must be \"", kFormat, "\"; was \"", format, "\""));
  }
  const absl::StatusOr<CalibrationMethod> method = ParseMethod(reader.String("method"));
  if (error.ok() && !method.ok()) return method.status();
  if (method.ok()) out.spec.method = *method;
  const int64_t classes = reader.Integer("classes");
  if (classes < 2 || classes > std::numeric_limits<int>::max()) {
    reader.Fail("classes", absl::StrCat("must be at least 2; was ", classes));
  }
  out.spec.classes = static_cast<int>(classes);
  out.spec.parameters = ReadParameters(&reader);
  if (const Json* thresholds = reader.Optional("set_thresholds")) {
    out.spec.set_thresholds = ReadSetThresholds(*thresholds, &reader, &error);
  }
  if (const Json* report = reader.Optional("report")) out.report = ReadReport(*report, &error);
  reader.RefuseOtherKeys();
  if (!error.ok()) return error;
  const absl::StatusOr<Calibrator> valid = Calibrator::Create(out.spec);
  if (!valid.ok()) return valid.status();
  return out;
}

absl::StatusOr<CalibratorDocument> ReadCalibratorFile(const std::string& path, std::optional<int> classes) {
  const absl::StatusOr<std::string> text = ReadWholeFile(path, kMaxJsonBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<CalibratorDocument> document = CalibratorFromJson(*text);
  if (!document.ok()) {
    return absl::Status(document.status().code(), absl::StrCat(path, ": ", document.status().message()));
  }
  if (classes.has_value() && document->spec.classes != *classes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is for ", document->spec.classes, " classes; ", *classes, " are needed"));
  }
  return document;
}

std::string MetricsToJson(const CalibrationMetrics& metrics) { return MetricsToJsonValue(metrics).dump(); }

}  // namespace calserve
