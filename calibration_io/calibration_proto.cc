#include "calibration_io/calibration_proto.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace calserve {
namespace {

constexpr char kMethodPrefix[] = "CALIBRATION_METHOD_";

v1::MethodComparison ComparisonToProto(const MethodComparison& row) {
  v1::MethodComparison out;
  out.set_method(MethodName(row.method));
  out.set_failure(row.failure);
  out.set_ece(row.ece);
  out.set_nll(row.nll);
  out.set_brier(row.brier);
  out.set_accuracy_change(row.accuracy_change);
  out.set_nll_excess(row.nll_excess);
  out.set_standard_error(row.standard_error);
  out.set_seconds(row.seconds);
  return out;
}

// A method of a newer version reads as kNone: the figures are for people.
MethodComparison ComparisonFromProto(const v1::MethodComparison& row) {
  MethodComparison out;
  out.method = ParseMethod(row.method()).value_or(CalibrationMethod::kNone);
  out.failure = row.failure();
  out.ece = row.ece();
  out.nll = row.nll();
  out.brier = row.brier();
  out.accuracy_change = row.accuracy_change();
  out.nll_excess = row.nll_excess();
  out.standard_error = row.standard_error();
  out.seconds = row.seconds();
  return out;
}

}  // namespace

v1::CalibrationMetrics MetricsToProto(const CalibrationMetrics& metrics) {
  v1::CalibrationMetrics out;
  out.set_n(metrics.n);
  out.set_n_effective(metrics.n_effective);
  out.set_accuracy(metrics.accuracy);
  out.set_mean_confidence(metrics.mean_confidence);
  out.set_ece(metrics.ece);
  if (metrics.ece_low.has_value()) out.set_ece_low(*metrics.ece_low);
  if (metrics.ece_high.has_value()) out.set_ece_high(*metrics.ece_high);
  out.set_noise_floor(metrics.noise_floor);
  out.set_mce(metrics.mce);
  out.set_n_with_logits(metrics.n_with_logits);
  if (metrics.nll.has_value()) out.set_nll(*metrics.nll);
  if (metrics.brier.has_value()) out.set_brier(*metrics.brier);
  double weight = 0;
  for (const ReliabilityBin& bin : metrics.bins) weight += bin.count;
  const double rows_per_weight = weight > 0 ? metrics.n_effective / weight : 0;
  for (const ReliabilityBin& bin : metrics.bins) {
    v1::ReliabilityBin& to = *out.add_bins();
    to.set_lower(bin.lower);
    to.set_upper(bin.upper);
    to.set_count(bin.count);
    to.set_confidence(bin.confidence);
    to.set_accuracy(bin.accuracy);
    const Estimate accuracy = WilsonOfShare(bin.accuracy, bin.count * rows_per_weight);
    if (accuracy.low.has_value()) to.set_accuracy_low(*accuracy.low);
    if (accuracy.high.has_value()) to.set_accuracy_high(*accuracy.high);
  }
  return out;
}

CalibrationMetrics MetricsFromProto(const v1::CalibrationMetrics& metrics) {
  CalibrationMetrics out;
  out.n = metrics.n();
  out.n_effective = metrics.n_effective();
  out.accuracy = metrics.accuracy();
  out.mean_confidence = metrics.mean_confidence();
  out.ece = metrics.ece();
  if (metrics.has_ece_low()) out.ece_low = metrics.ece_low();
  if (metrics.has_ece_high()) out.ece_high = metrics.ece_high();
  out.noise_floor = metrics.noise_floor();
  out.mce = metrics.mce();
  out.n_with_logits = metrics.n_with_logits();
  if (metrics.has_nll()) out.nll = metrics.nll();
  if (metrics.has_brier()) out.brier = metrics.brier();
  for (const v1::ReliabilityBin& bin : metrics.bins()) {
    out.bins.push_back({bin.lower(), bin.upper(), bin.count(), bin.confidence(), bin.accuracy()});
  }
  return out;
}

v1::FitReport FitReportToProto(const FitReport& report) {
  v1::FitReport out;
  out.set_n(report.n);
  out.set_converged(report.converged);
  out.set_iterations(report.iterations);
  out.set_at_bound(report.at_bound);
  *out.mutable_before() = MetricsToProto(report.before);
  *out.mutable_after() = MetricsToProto(report.after);
  if (report.cross_validated.has_value())
    *out.mutable_cross_validated() = MetricsToProto(*report.cross_validated);
  out.set_folds(report.folds);
  out.set_changed_predictions(report.changed_predictions);
  for (const MethodComparison& row : report.comparison) *out.add_comparison() = ComparisonToProto(row);
  out.set_selected_optimistic(report.selected_optimistic);
  out.set_holdout(report.holdout);
  return out;
}

FitReport FitReportFromProto(const v1::FitReport& report) {
  FitReport out;
  out.n = report.n();
  out.converged = report.converged();
  out.iterations = report.iterations();
  out.at_bound = report.at_bound();
  out.before = MetricsFromProto(report.before());
  out.after = MetricsFromProto(report.after());
  if (report.has_cross_validated()) out.cross_validated = MetricsFromProto(report.cross_validated());
  out.folds = report.folds();
  out.changed_predictions = report.changed_predictions();
  for (const v1::MethodComparison& row : report.comparison()) {
    out.comparison.push_back(ComparisonFromProto(row));
  }
  out.selected_optimistic = report.selected_optimistic();
  out.holdout = report.holdout();
  return out;
}

v1::CalibrationMethod MethodToProto(CalibrationMethod method) {
  v1::CalibrationMethod out = v1::CALIBRATION_METHOD_UNSPECIFIED;
  v1::CalibrationMethod_Parse(absl::StrCat(kMethodPrefix, absl::AsciiStrToUpper(MethodName(method))), &out);
  return out;
}

absl::StatusOr<CalibrationMethod> MethodFromProto(v1::CalibrationMethod method) {
  const std::string& name = v1::CalibrationMethod_Name(method);
  return ParseMethod(absl::AsciiStrToLower(absl::StripPrefix(name, kMethodPrefix)));
}

v1::SetMethod SetMethodToProto(ConformalScore score) {
  return score == ConformalScore::kThr ? v1::SET_METHOD_THR : v1::SET_METHOD_APS;
}

ConformalScore SetMethodFromProto(v1::SetMethod method) {
  return method == v1::SET_METHOD_APS ? ConformalScore::kAps : ConformalScore::kThr;
}

void SetThresholdsToProto(absl::Span<const SetThreshold> thresholds, v1::Calibrator* calibrator) {
  for (const SetThreshold& threshold : thresholds) {
    v1::SetThreshold& to = *calibrator->add_set_thresholds();
    to.set_method(SetMethodToProto(threshold.score));
    to.set_alpha(threshold.alpha);
    to.set_threshold(threshold.threshold);
    to.set_n(threshold.n);
  }
}

std::vector<SetThreshold> SetThresholdsFromProto(const v1::Calibrator& calibrator) {
  std::vector<SetThreshold> out;
  for (const v1::SetThreshold& threshold : calibrator.set_thresholds()) {
    out.push_back(
        {SetMethodFromProto(threshold.method()), threshold.alpha(), threshold.threshold(), threshold.n()});
  }
  return out;
}

v1::Estimate EstimateToProto(const Estimate& estimate) {
  v1::Estimate out;
  out.set_value(estimate.value);
  if (estimate.low.has_value()) out.set_low(*estimate.low);
  if (estimate.high.has_value()) out.set_high(*estimate.high);
  return out;
}

Estimate EstimateFromProto(const v1::Estimate& estimate) {
  Estimate out{estimate.value()};
  if (estimate.has_low()) out.low = estimate.low();
  if (estimate.has_high()) out.high = estimate.high();
  return out;
}

std::vector<CalibratorSpec::Parameter> ParametersFromProto(const v1::Calibrator& calibrator) {
  std::vector<CalibratorSpec::Parameter> out;
  for (const v1::CalibratorParameter& parameter : calibrator.parameters()) {
    out.push_back({parameter.name(), {parameter.values().begin(), parameter.values().end()}});
  }
  return out;
}

void SpecToProto(const CalibratorSpec& spec, v1::Calibrator* calibrator) {
  calibrator->set_method(MethodName(spec.method));
  calibrator->clear_parameters();
  for (const CalibratorSpec::Parameter& parameter : spec.parameters) {
    v1::CalibratorParameter& to = *calibrator->add_parameters();
    to.set_name(parameter.name);
    to.mutable_values()->Add(parameter.values.begin(), parameter.values.end());
  }
  calibrator->clear_set_thresholds();
  SetThresholdsToProto(spec.set_thresholds, calibrator);
}

absl::StatusOr<CalibratorSpec> SpecFromProto(const v1::Calibrator& calibrator, int classes) {
  const absl::StatusOr<CalibrationMethod> method = ParseMethod(calibrator.method());
  if (!method.ok()) return method.status();
  CalibratorSpec spec{*method, classes, ParametersFromProto(calibrator), SetThresholdsFromProto(calibrator)};
  const absl::StatusOr<Calibrator> valid = Calibrator::Create(spec);
  if (!valid.ok()) return valid.status();
  return spec;
}

}  // namespace calserve
