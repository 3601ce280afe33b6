#include <optional>

#include "calibration_io/calibration_proto.h"

namespace calserve {
namespace {

v1::CalibrationTest ToProto(const CalibrationTestResult& test) {
  v1::CalibrationTest out;
  if (test.statistic.has_value()) out.set_statistic(*test.statistic);
  out.set_p_value(test.p_value);
  return out;
}

CalibrationTestResult FromProto(const v1::CalibrationTest& test) {
  CalibrationTestResult out{std::nullopt, test.p_value()};
  if (test.has_statistic()) out.statistic = test.statistic();
  return out;
}

v1::BrierDecomposition ToProto(const ClasswiseSums::BrierParts& parts) {
  v1::BrierDecomposition out;
  out.set_calibration(parts.calibration);
  out.set_refinement(parts.refinement);
  out.set_uncertainty(parts.uncertainty);
  out.set_within_bins(parts.within_bins);
  return out;
}

}  // namespace

v1::DetailedMetrics DetailsToProto(const DetailedMetrics& details) {
  v1::DetailedMetrics out;
  out.set_n(details.n);
  *out.mutable_accuracy() = EstimateToProto(details.accuracy);
  *out.mutable_confidence_gap() = EstimateToProto(details.confidence_gap);
  *out.mutable_adaptive_ece() = EstimateToProto(details.adaptive_ece);
  out.set_rms_calibration_error(details.rms_calibration_error);
  *out.mutable_debiased_l2() = EstimateToProto(details.debiased_l2);
  if (details.mce.has_value()) out.set_mce(*details.mce);
  out.set_mce_least_count(details.mce_least_count);
  out.set_ece_sweep(details.ece_sweep);
  out.set_ece_sweep_bins(details.ece_sweep_bins);
  out.set_smooth_ece(details.smooth_ece);
  if (details.kolmogorov_smirnov.has_value()) {
    *out.mutable_kolmogorov_smirnov() = ToProto(*details.kolmogorov_smirnov);
  }
  if (details.kuiper.has_value()) *out.mutable_kuiper() = ToProto(*details.kuiper);
  if (details.spiegelhalter.has_value()) *out.mutable_spiegelhalter() = ToProto(*details.spiegelhalter);
  if (details.debiased_test.has_value()) *out.mutable_debiased_test() = ToProto(*details.debiased_test);
  if (details.auroc.has_value()) *out.mutable_auroc() = EstimateToProto(*details.auroc);
  out.set_n_with_logits(details.n_with_logits);
  if (details.nll.has_value()) *out.mutable_nll() = EstimateToProto(*details.nll);
  if (details.brier.has_value()) *out.mutable_brier() = EstimateToProto(*details.brier);
  if (details.brier_parts.has_value()) *out.mutable_brier_parts() = ToProto(*details.brier_parts);
  if (details.classwise_ece.has_value()) out.set_classwise_ece(*details.classwise_ece);
  if (details.classwise_ece_thresholded.has_value()) {
    out.set_classwise_ece_thresholded(*details.classwise_ece_thresholded);
  }
  out.set_class_threshold(details.class_threshold);
  return out;
}

DetailedMetrics DetailsFromProto(const v1::DetailedMetrics& details) {
  DetailedMetrics out;
  out.n = details.n();
  out.accuracy = EstimateFromProto(details.accuracy());
  out.confidence_gap = EstimateFromProto(details.confidence_gap());
  out.adaptive_ece = EstimateFromProto(details.adaptive_ece());
  out.rms_calibration_error = details.rms_calibration_error();
  out.debiased_l2 = EstimateFromProto(details.debiased_l2());
  if (details.has_mce()) out.mce = details.mce();
  out.mce_least_count = details.mce_least_count();
  out.ece_sweep = details.ece_sweep();
  out.ece_sweep_bins = details.ece_sweep_bins();
  out.smooth_ece = details.smooth_ece();
  if (details.has_kolmogorov_smirnov()) out.kolmogorov_smirnov = FromProto(details.kolmogorov_smirnov());
  if (details.has_kuiper()) out.kuiper = FromProto(details.kuiper());
  if (details.has_spiegelhalter()) out.spiegelhalter = FromProto(details.spiegelhalter());
  if (details.has_debiased_test()) out.debiased_test = FromProto(details.debiased_test());
  if (details.has_auroc()) out.auroc = EstimateFromProto(details.auroc());
  out.n_with_logits = details.n_with_logits();
  if (details.has_nll()) out.nll = EstimateFromProto(details.nll());
  if (details.has_brier()) out.brier = EstimateFromProto(details.brier());
  if (details.has_brier_parts()) {
    const v1::BrierDecomposition& parts = details.brier_parts();
    out.brier_parts = {parts.calibration(), parts.refinement(), parts.uncertainty(), parts.within_bins()};
  }
  if (details.has_classwise_ece()) out.classwise_ece = details.classwise_ece();
  if (details.has_classwise_ece_thresholded()) {
    out.classwise_ece_thresholded = details.classwise_ece_thresholded();
  }
  out.class_threshold = details.class_threshold();
  return out;
}

}  // namespace calserve
