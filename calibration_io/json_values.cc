#include "calibration_io/json_values.h"

namespace calserve {
namespace {

using Json = nlohmann::ordered_json;

Json OrNull(const std::optional<double>& value) { return value.has_value() ? Json(*value) : Json(nullptr); }

Json ComparisonToJsonValue(const std::vector<MethodComparison>& comparison) {
  Json out = Json::array();
  for (const MethodComparison& row : comparison) {
    out.push_back({{"method", MethodName(row.method)},
                   {"failure", row.failure},
                   {"ece", row.ece},
                   {"nll", row.nll},
                   {"brier", row.brier},
                   {"accuracy_change", row.accuracy_change},
                   {"nll_excess", row.nll_excess},
                   {"standard_error", row.standard_error},
                   {"seconds", row.seconds}});
  }
  return out;
}

}  // namespace

Json MetricsToJsonValue(const CalibrationMetrics& metrics) {
  Json bins = Json::array();
  for (const ReliabilityBin& bin : metrics.bins) {
    bins.push_back({{"lower", bin.lower},
                    {"upper", bin.upper},
                    {"count", bin.count},
                    {"confidence", bin.confidence},
                    {"accuracy", bin.accuracy}});
  }
  return {{"n", metrics.n},
          {"n_effective", metrics.n_effective},
          {"accuracy", metrics.accuracy},
          {"mean_confidence", metrics.mean_confidence},
          {"ece", metrics.ece},
          {"ece_low", OrNull(metrics.ece_low)},
          {"ece_high", OrNull(metrics.ece_high)},
          {"noise_floor", metrics.noise_floor},
          {"mce", metrics.mce},
          {"n_with_logits", metrics.n_with_logits},
          {"nll", OrNull(metrics.nll)},
          {"brier", OrNull(metrics.brier)},
          {"bins", std::move(bins)}};
}

Json FitReportToJsonValue(const FitReport& report) {
  return {{"n", report.n},
          {"converged", report.converged},
          {"iterations", report.iterations},
          {"at_bound", report.at_bound},
          {"folds", report.folds},
          {"changed_predictions", report.changed_predictions},
          {"before", MetricsToJsonValue(report.before)},
          {"after", MetricsToJsonValue(report.after)},
          {"cross_validated",
           report.cross_validated.has_value() ? MetricsToJsonValue(*report.cross_validated) : Json(nullptr)},
          {"holdout", report.holdout},
          {"selected_optimistic", report.selected_optimistic},
          {"comparison", ComparisonToJsonValue(report.comparison)}};
}

Json ParametersToJsonValue(const CalibratorSpec& spec) {
  Json out = Json::object();
  for (const CalibratorSpec::Parameter& parameter : spec.parameters) {
    out[parameter.name] = parameter.values.size() == 1 ? Json(parameter.values[0]) : Json(parameter.values);
  }
  return out;
}

Json FitToJsonValue(const CalibratorSpec& spec, const FitReport& report) {
  Json out = {{"method", MethodName(spec.method)},
              {"classes", spec.classes},
              {"parameters", ParametersToJsonValue(spec)},
              {"nll_before", OrNull(report.before.nll)},
              {"nll_after", OrNull(report.after.nll)},
              {"nll_cross_validated",
               report.cross_validated.has_value() ? OrNull(report.cross_validated->nll) : Json(nullptr)},
              {"ece_before", report.before.ece},
              {"ece_after", report.after.ece}};
  out.update(MetricsToJsonValue(report.after));
  out.update(FitReportToJsonValue(report));
  return out;
}

}  // namespace calserve
