#include "server/rpc/calibration_convert.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/set_alphas.h"
#include "calibration_io/alarm_proto.h"
#include "calibration_io/calibration_proto.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/monitoring/label_selection.h"

namespace calserve {
namespace {

absl::StatusOr<absl::Time> TimeFromProto(const google::protobuf::Timestamp& time, absl::string_view field) {
  // The range of google.protobuf.Timestamp: years 1 to 9999.
  constexpr int64_t kFirst = -62135596800, kLast = 253402300799;
  if (time.seconds() < kFirst || time.seconds() > kLast || time.nanos() < 0 || time.nanos() > 999'999'999) {
    return WithField(absl::InvalidArgumentError(absl::StrCat(field, " is not a time: ", time.seconds(),
                                                             " s, ", time.nanos(), " ns")),
                     field);
  }
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

v1::CalibratorState ToProto(CalibratorState state) {
  switch (state) {
    case CalibratorState::kFitted:
      return v1::CALIBRATOR_STATE_FITTED;
    case CalibratorState::kActive:
      return v1::CALIBRATOR_STATE_ACTIVE;
    case CalibratorState::kRetired:
      return v1::CALIBRATOR_STATE_RETIRED;
  }
  return v1::CALIBRATOR_STATE_UNSPECIFIED;
}

google::protobuf::Duration DurationToProto(absl::Duration duration) {
  google::protobuf::Duration out;
  out.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  out.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
  return out;
}

v1::SelectionState ToProto(LabelSelection selection) {
  switch (selection) {
    case LabelSelection::kTooFewLabels:
      return v1::SELECTION_STATE_TOO_FEW_LABELS;
    case LabelSelection::kNoDifference:
      return v1::SELECTION_STATE_NO_DIFFERENCE;
    case LabelSelection::kSelectiveLabels:
      return v1::SELECTION_STATE_SELECTIVE_LABELS;
  }
  return v1::SELECTION_STATE_UNSPECIFIED;
}

// A rule for each key, of all the values that are named with it.
std::vector<AttributeRule> RulesFromProto(const v1::StoredSelection& selection) {
  std::vector<AttributeRule> rules;
  for (const v1::Attribute& attribute : selection.attributes()) {
    auto rule = std::find_if(rules.begin(), rules.end(),
                             [&](const AttributeRule& each) { return each.key == attribute.key(); });
    if (rule == rules.end()) rule = rules.insert(rules.end(), {attribute.key(), {}});
    rule->values.push_back(attribute.value());
  }
  return rules;
}

v1::LabelSelection SelectionToProto(const WindowReport& report, const ConfidenceSums& issued) {
  const ConfidenceSums& labelled = report.arrivals.labelled;
  v1::LabelSelection out;
  out.set_state(ToProto(CompareLabelled(labelled, issued)));
  *out.mutable_since() = calserve::ToProto(report.counted_since);
  out.set_issued(issued.n);
  out.set_labelled(labelled.n);
  if (issued.n > 0) out.set_labelled_share(static_cast<double>(labelled.n) / static_cast<double>(issued.n));
  out.set_mean_confidence_issued(issued.mean());
  out.set_mean_confidence_labelled(labelled.mean());
  out.set_labels(report.arrivals.labels);
  if (report.arrivals.labels == 0) return out;
  *out.mutable_mean_label_delay() = DurationToProto(report.arrivals.mean_delay);
  *out.mutable_median_label_delay() = DurationToProto(report.arrivals.median_delay);
  return out;
}

v1::SetCoverage CoverageToProto(const WindowReport::SetCoverage& coverage) {
  const SetCounts& counts = coverage.counts;
  v1::SetCoverage out;
  out.set_method(SetMethodToProto(coverage.threshold.score));
  out.set_alpha(coverage.threshold.alpha);
  out.set_threshold(coverage.threshold.threshold);
  out.set_n(counts.n);
  *out.mutable_coverage() = EstimateToProto(WilsonEstimate(counts.covered, counts.n));
  if (counts.n > 0) out.set_mean_size(static_cast<double>(counts.size) / static_cast<double>(counts.n));
  return out;
}

v1::WeightedEstimates WeightedToProto(const WeightedEstimates& weighted) {
  v1::WeightedEstimates out;
  out.set_n(weighted.n);
  out.set_population(weighted.population);
  out.set_n_effective(weighted.n_effective);
  *out.mutable_accuracy() = EstimateToProto(weighted.accuracy);
  *out.mutable_confidence_gap() = EstimateToProto(weighted.confidence_gap);
  out.set_ece(weighted.ece);
  out.set_noise_floor(weighted.noise_floor);
  return out;
}

}  // namespace

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp out;
  const int64_t seconds = absl::ToUnixSeconds(time);
  out.set_seconds(seconds);
  out.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return out;
}

v1::Calibrator ToProto(const CalibratorVersion& calibrator) {
  v1::Calibrator out;
  out.set_model(calibrator.model);
  out.set_model_version(calibrator.model_version);
  out.set_version(calibrator.version);
  out.set_method(MethodName(calibrator.spec.method));
  out.set_state(ToProto(calibrator.state));
  for (const CalibratorSpec::Parameter& parameter : calibrator.spec.parameters) {
    v1::CalibratorParameter& to = *out.add_parameters();
    to.set_name(parameter.name);
    to.mutable_values()->Add(parameter.values.begin(), parameter.values.end());
  }
  SetThresholdsToProto(calibrator.spec.set_thresholds, &out);
  out.set_digest(calibrator.digest);
  out.set_origin(calibrator.origin);
  if (calibrator.version != 0) *out.mutable_create_time() = ToProto(calibrator.created);
  if (calibrator.activated.has_value()) *out.mutable_activate_time() = ToProto(*calibrator.activated);
  if (calibrator.report.has_value()) *out.mutable_report() = FitReportToProto(*calibrator.report);
  out.set_fit_position(calibrator.fit_position);
  out.set_note(calibrator.note);
  return out;
}

Serving ServingOf(const MonitorKey& key, const ServingTable& table) {
  const absl::StatusOr<Snapshot> now = table.Find(key.model, key.model_version);
  return {now.ok() && now->calibrator->version == key.calibrator_version,
          table.Issued(key.model, key.model_version, key.calibrator_version)};
}

absl::StatusOr<Slice> SliceFromProto(bool has, const v1::Slice& slice) {
  if (!has) return Slice();
  if (!slice.key().empty()) return Slice{slice.key(), slice.value()};
  return WithField(absl::InvalidArgumentError("a slice needs the key of an attribute"), "slice.key");
}

v1::Slice ToProto(const Slice& slice) {
  v1::Slice out;
  out.set_key(slice.key);
  out.set_value(slice.value);
  return out;
}

v1::WindowReport ToProto(const WindowReport& report, const Serving& serving) {
  v1::WindowReport out;
  out.set_model(report.key.model);
  out.set_model_version(report.key.model_version);
  out.set_calibrator_version(report.key.calibrator_version);
  out.set_window(report.window);
  out.mutable_as_of()->set_position(report.position);
  *out.mutable_as_of()->mutable_time() = ToProto(report.time);
  *out.mutable_served() = MetricsToProto(report.served);
  *out.mutable_uncalibrated() = MetricsToProto(report.uncalibrated);
  out.set_catching_up(report.catching_up);
  out.set_truncated(report.truncated);
  if (report.served_details.has_value()) {
    *out.mutable_served_details() = DetailsToProto(*report.served_details);
  }
  if (report.uncalibrated_details.has_value()) {
    *out.mutable_uncalibrated_details() = DetailsToProto(*report.uncalibrated_details);
  }
  for (const WindowReport::SetCoverage& coverage : report.set_coverage) {
    *out.add_set_coverage() = CoverageToProto(coverage);
  }
  if (report.weighted.has_value()) *out.mutable_weighted() = WeightedToProto(*report.weighted);
  if (!report.key.slice.whole()) *out.mutable_slice() = ToProto(report.key.slice);
  if (report.shadow_after.has_value()) {
    out.set_shadow(true);
    out.set_shadow_after_position(*report.shadow_after);
    return out;
  }
  if (report.window.empty()) return out;  // Stored labels are no window.
  *out.mutable_alarm() = AlarmToProto(report.alarm, serving.active);
  if (!report.key.slice.whole()) return out;
  *out.mutable_selection() = SelectionToProto(report, serving.issued);
  return out;
}

absl::StatusOr<CalibrationMethod> FitMethodFromProto(v1::CalibrationMethod proto) {
  const absl::StatusOr<CalibrationMethod> method = MethodFromProto(proto);
  if (method.ok() && *method != CalibrationMethod::kNone) return method;
  return WithField(absl::InvalidArgumentError(absl::StrCat(
                       "method must be one that is fitted, as CALIBRATION_METHOD_TEMPERATURE; was ", proto)),
                   "specification.method");
}

absl::StatusOr<FitOptions> FitOptionsFromProto(const v1::FitSpecification& specification) {
  FitOptions options;
  if (specification.folds() != 0) options.folds = specification.folds();
  options.holdout = specification.holdout();
  options.outer_folds = specification.outer_folds();
  if (options.folds < 2 || options.folds > 20) {
    return WithField(
        absl::InvalidArgumentError(absl::StrCat("folds must be 2 to 20, or 0 for 5; was ", options.folds)),
        "specification.folds");
  }
  if (!(options.holdout >= 0 && options.holdout <= 0.9)) {
    return WithField(
        absl::InvalidArgumentError(absl::StrCat("holdout must be in [0, 0.9]; was ", options.holdout)),
        "specification.holdout");
  }
  const bool choosing = specification.method() == v1::CALIBRATION_METHOD_AUTO;
  if (options.outer_folds != 0 && (!choosing || options.outer_folds < 2 || options.outer_folds > 20)) {
    return WithField(absl::InvalidArgumentError(absl::StrCat(
                         "outer_folds must be 2 to 20 with method AUTO, else 0; was ", options.outer_folds)),
                     "specification.outer_folds");
  }
  if (absl::Status status = CheckSetAlphas(specification.set_alphas()); !status.ok()) {
    return WithField(std::move(status), "specification.set_alphas");
  }
  options.set_alphas.assign(specification.set_alphas().begin(), specification.set_alphas().end());
  if (options.set_alphas.empty()) {
    options.set_alphas.assign(std::begin(kDefaultSetAlphas), std::end(kDefaultSetAlphas));
  }
  return options;
}

absl::StatusOr<LogSelection> SelectionFromProto(const v1::StoredSelection& selection) {
  LogSelection out;
  if (selection.has_start_time()) {
    ASSIGN_OR_RETURN(out.start, TimeFromProto(selection.start_time(), "stored.start_time"));
  }
  if (selection.has_end_time()) {
    ASSIGN_OR_RETURN(out.end, TimeFromProto(selection.end_time(), "stored.end_time"));
  }
  if (out.end < out.start) {
    return WithField(absl::InvalidArgumentError("end_time must not be before start_time"), "stored.end_time");
  }
  if (selection.max_rows() < 0) {
    return WithField(absl::InvalidArgumentError(absl::StrCat("max_rows must be 0 (the default) or more; was ",
                                                             selection.max_rows())),
                     "stored.max_rows");
  }
  constexpr int kMaxSources = 100;
  const int sources = selection.sources_size() + selection.excluded_sources_size();
  if (sources > kMaxSources) {
    return WithField(absl::InvalidArgumentError(
                         absl::StrCat("at most ", kMaxSources, " sources may be named; were ", sources)),
                     "stored.sources");
  }
  constexpr int kMaxSelected = 100;
  if (selection.attributes_size() > kMaxSelected) {
    return WithField(
        absl::InvalidArgumentError(absl::StrCat("at most ", kMaxSelected, " attributes may be named; were ",
                                                selection.attributes_size())),
        "stored.attributes");
  }
  out.attributes = RulesFromProto(selection);
  out.sources.assign(selection.sources().begin(), selection.sources().end());
  out.excluded_sources.assign(selection.excluded_sources().begin(), selection.excluded_sources().end());
  return out;
}

}  // namespace calserve
