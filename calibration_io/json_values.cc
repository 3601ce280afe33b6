#include "calibration_io/json_values.h"

namespace calserve {
namespace {

using Json = nlohmann::ordered_json;

Json OrNull(const std::optional<double>& value) { return value.has_value() ? Json(*value) : Json(nullptr); }

Json EstimateToJson(const std::optional<Estimate>& estimate) {
  if (!estimate.has_value()) return nullptr;
  return {{"value", estimate->value}, {"low", OrNull(estimate->low)}, {"high", OrNull(estimate->high)}};
}

Json TestToJson(const std::optional<CalibrationTestResult>& test) {
  if (!test.has_value()) return nullptr;
  return {{"statistic", OrNull(test->statistic)}, {"p_value", test->p_value}};
}

Json BrierPartsToJson(const std::optional<ClasswiseSums::BrierParts>& parts) {
  if (!parts.has_value()) return nullptr;
  return {{"calibration", parts->calibration},
          {"refinement", parts->refinement},
          {"uncertainty", parts->uncertainty},
          {"within_bins", parts->within_bins}};
}

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

Json DetailsToJsonValue(const DetailedMetrics& details) {
  return {{"n", details.n},
          {"accuracy", EstimateToJson(details.accuracy)},
          {"confidence_gap", EstimateToJson(details.confidence_gap)},
          {"adaptive_ece", EstimateToJson(details.adaptive_ece)},
          {"rms_calibration_error", details.rms_calibration_error},
          {"debiased_l2", EstimateToJson(details.debiased_l2)},
          {"mce", OrNull(details.mce)},
          {"mce_least_count", details.mce_least_count},
          {"ece_sweep", details.ece_sweep},
          {"ece_sweep_bins", details.ece_sweep_bins},
          {"smooth_ece", details.smooth_ece},
          {"kolmogorov_smirnov", TestToJson(details.kolmogorov_smirnov)},
          {"kuiper", TestToJson(details.kuiper)},
          {"spiegelhalter", TestToJson(details.spiegelhalter)},
          {"debiased_test", TestToJson(details.debiased_test)},
          {"auroc", EstimateToJson(details.auroc)},
          {"n_with_logits", details.n_with_logits},
          {"nll", EstimateToJson(details.nll)},
          {"brier", EstimateToJson(details.brier)},
          {"brier_parts", BrierPartsToJson(details.brier_parts)},
          {"classwise_ece", OrNull(details.classwise_ece)},
          {"classwise_ece_thresholded", OrNull(details.classwise_ece_thresholded)},
          {"class_threshold", details.class_threshold}};
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

Json SetThresholdsToJsonValue(const CalibratorSpec& spec) {
  Json out = Json::array();
  for (const SetThreshold& threshold : spec.set_thresholds) {
    out.push_back({{"method", ScoreName(threshold.score)},
                   {"alpha", threshold.alpha},
                   {"threshold", threshold.threshold},
                   {"n", threshold.n}});
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
  out["set_thresholds"] = SetThresholdsToJsonValue(spec);
  return out;
}

}  // namespace calserve
