// Our side of field_benchmark.py, which runs it once for every figure, beside the packages' workers:
//
//   field_worker fit METHOD|metric NAME LOGITS.npy LABELS.npy SECONDS
//
// Repeats the work for about SECONDS, at least three times where one takes less than that, and prints a JSON
// document: the processor seconds of each time, what came of it (a fit's mean negative log-likelihood in
// sample, a metric's value), microseconds to apply the fit to a row, and the resident memory before and at
// most, in KiB.

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "calibration/calibrator.h"
#include "calibration/fit.h"
#include "calibration/labelled_rows.h"
#include "calibration/method.h"
#include "calibration/metrics/auroc.h"
#include "calibration/metrics/binned_errors.h"
#include "calibration/metrics/classwise.h"
#include "calibration/metrics/confidence_groups.h"
#include "calibration/metrics/cumulative_tests.h"
#include "calibration/metrics/smooth_ece.h"
#include "calibration/metrics_accumulator.h"
#include "calibration_io/labelled_logits_file.h"
#include "nlohmann/json.hpp"

namespace calserve {
namespace {

template <typename T>
T Ok(absl::StatusOr<T> result) {
  if (result.ok()) return *std::move(result);
  std::cerr << result.status() << "\n";
  std::exit(1);
}

int64_t PeakKib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// One thread and no waiting: the elapsed time of a quiet machine, also on one that is not.
double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::vector<double> Repeat(double seconds, const std::function<void()>& work) {
  std::vector<double> times;
  double spent = 0;
  while (spent < seconds || (times.size() < 3 && spent < 3 * seconds)) {
    const double start = ProcessorSeconds();
    work();
    times.push_back(ProcessorSeconds() - start);
    spent += times.back();
  }
  return times;
}

double Nll(const Calibrator& calibrator, const LabelledRows& rows) {
  MetricsAccumulator metrics(kDefaultBins);
  AddRows(calibrator, rows, &metrics);
  return *metrics.Metrics().nll;
}

double ApplyMicroseconds(const Calibrator& calibrator, const LabelledLogitsFile& file) {
  const auto& logits = std::get<std::vector<float>>(file.logits);
  const auto classes = static_cast<size_t>(file.columns);
  const size_t rows = std::min<size_t>(file.labels.size(), 2000);
  std::vector<float> probabilities(classes);
  const std::vector<double> times = Repeat(0.2, [&] {
    for (size_t i = 0; i < rows; ++i) {
      const absl::Span<const float> row(&logits[i * classes], classes);
      if (!calibrator.Apply(row, absl::MakeSpan(probabilities)).ok()) std::abort();
    }
  });
  return 1e6 * *std::min_element(times.begin(), times.end()) / static_cast<double>(rows);
}

nlohmann::json MeasureFit(const std::string& name, const LabelledLogitsFile& file, double seconds) {
  const Method& method = *FindMethod(Ok(ParseMethod(name)));
  const LabelledRows rows = AllRows(file.view(), file.labels);
  const int64_t before = PeakKib();
  Fitted fitted;
  const std::vector<double> times =
      Repeat(seconds, [&] { fitted = Ok(method.fit(rows, [](double) { return true; })); });
  const int64_t peak = PeakKib();
  const Calibrator calibrator = Ok(Calibrator::Create(fitted.spec));
  // With the checks of the data, the order of content and the reports before and after that FitCalibrator
  // adds.
  const std::vector<double> whole =
      Repeat(seconds / 2, [&] { Ok(FitCalibrator(method.id, file.view(), file.labels, {.folds = 0})); });
  return {{"seconds", times},
          {"seconds_with_reports", whole},
          {"nll", Nll(calibrator, rows)},
          {"apply_us", ApplyMicroseconds(calibrator, file)},
          {"kib_before", before},
          {"kib_peak", peak}};
}

// Of plain softmax: confidences, and whether they were right.
struct TopLabel {
  std::vector<float> confidences;
  std::vector<uint8_t> correct;
  std::vector<float> probabilities;  // N×K
};

double MetricOf(const std::string& name, const TopLabel& rows, const LabelledLogitsFile& file) {
  if (name == "ece") {
    MetricsAccumulator metrics(kDefaultBins);
    for (size_t i = 0; i < rows.confidences.size(); ++i)
      metrics.Add(rows.confidences[i], rows.correct[i] != 0);
    return metrics.Metrics().ece;
  }
  if (name == "nll" || name == "classwise_ece") {
    const auto classes = static_cast<size_t>(file.columns);
    ClasswiseSums sums(file.columns, kDefaultBins, 0);
    double nll = 0;
    for (size_t i = 0; i < file.labels.size(); ++i) {
      const absl::Span<const float> row(&rows.probabilities[i * classes], classes);
      if (name == "nll") nll += RowNll(row, file.labels[i]);
      if (name == "classwise_ece") sums.Add(row, file.labels[i]);
    }
    return name == "nll" ? nll / static_cast<double>(file.labels.size()) : sums.CalibrationError();
  }
  const std::vector<ConfidenceGroup> groups = Ok(GroupByConfidence(rows.confidences, rows.correct));
  if (name == "adaptive_ece") return ExpectedCalibrationError(EqualMassBins(groups, kDefaultBins));
  if (name == "debiased_l2") return DebiasedL2(EqualMassBins(groups, kDefaultBins)).value;
  if (name == "smooth_ece") return SmoothEce(groups);
  if (name == "auroc") return ConfidenceAuroc(groups)->value;
  if (name == "kolmogorov_smirnov") return *KolmogorovSmirnovTest(groups).statistic;
  std::cerr << "no metric " << name << "\n";
  std::exit(2);
}

nlohmann::json MeasureMetric(const std::string& name, const LabelledLogitsFile& file, double seconds) {
  TopLabel rows;
  ForEachRow(Calibrator::None(file.view().classes()), AllRows(file.view(), file.labels),
             [&](const AppliedRow& row) {
               rows.confidences.push_back(row.probabilities[static_cast<size_t>(row.predicted)]);
               rows.correct.push_back(row.predicted == row.label);
               rows.probabilities.insert(rows.probabilities.end(), row.probabilities.begin(),
                                         row.probabilities.end());
             });
  const int64_t before = PeakKib();
  double value = 0;
  const std::vector<double> times = Repeat(seconds, [&] { value = MetricOf(name, rows, file); });
  return {{"seconds", times}, {"value", value}, {"kib_before", before}, {"kib_peak", PeakKib()}};
}

int Main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr << "usage: field_worker fit|metric NAME LOGITS.npy LABELS.npy SECONDS\n";
    return 2;
  }
  const std::string kind = argv[1], name = argv[2];
  const LabelledLogitsFile file = Ok(ReadLabelledLogits(argv[3], argv[4]));
  const double seconds = std::atof(argv[5]);
  std::cout << (kind == "fit" ? MeasureFit(name, file, seconds) : MeasureMetric(name, file, seconds)) << "\n";
  return 0;
}

}  // namespace
}  // namespace calserve

int main(int argc, char** argv) { return calserve::Main(argc, argv); }
