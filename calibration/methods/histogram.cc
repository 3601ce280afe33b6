// Two classes: p_1 = mean label of the rows whose softmax(z)_1 is in the same bin. More: so for each class
// against the others, divided by their sum.                                     (Zadrozny and Elkan, 2001)
//
// Bins of equal width (lower, upper], as a report's; an empty one gives its centre. Values are clipped to
// [1 / (n + 2), (n + 1) / (n + 2)], since 0 and 1 would cost an unbounded loss.

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/bin_edges.h"
#include "calibration/methods/methods.h"
#include "calibration/methods/one_vs_rest.h"
#include "calibration/softmax.h"

namespace calserve {
namespace {

constexpr int kBins = kDefaultBins;

// Classes that have a histogram of their own: of two, the second alone.
size_t FirstBinned(size_t classes) { return classes == 2 ? 1 : 0; }

class HistogramMap final : public ProbabilityMap {
 public:
  // `values` has as many a binned class, one class after another.
  HistogramMap(int bins, std::vector<double> values)
      : edges_(bins), bins_(static_cast<size_t>(bins)), values_(std::move(values)) {}

  void Apply(absl::Span<double> row) const override {
    SoftmaxInPlace(1, row);
    const size_t first = FirstBinned(row.size());
    for (size_t k = first; k < row.size(); ++k) {
      row[k] = values_[(k - first) * bins_ + static_cast<size_t>(edges_.IndexOf(row[k]))];
    }
    if (first == 1) {
      row[0] = 1 - row[1];
    } else {
      NormaliseInPlace(row);
    }
  }

 private:
  const BinEdges edges_;
  const size_t bins_;
  const std::vector<double> values_;
};

std::unique_ptr<const ProbabilityMap> Read(int classes, ParameterReader* reader) {
  std::vector<double> values = reader->Values("value");
  const size_t binned = static_cast<size_t>(classes) - FirstBinned(static_cast<size_t>(classes));
  const size_t bins = values.size() / binned;
  if (bins < 1 || bins > kMaxBins || values.size() != bins * binned) {
    reader->Fail(absl::StrCat("parameter value must have 1 to ", kMaxBins, " values for each of ", binned,
                              " classes; has ", values.size()));
    return nullptr;
  }
  for (const double value : values) {
    if (value < 0 || value > 1) {
      reader->Fail(absl::StrCat("parameter value must be in [0, 1]; was ", value));
    }
  }
  return std::make_unique<HistogramMap>(static_cast<int>(bins), std::move(values));
}

absl::StatusOr<Fitted> Fit(const LabelledRows& data, const FitProgress& progress) {
  const int classes = data.logits.classes();
  const size_t first = FirstBinned(static_cast<size_t>(classes));
  const double rows = static_cast<double>(data.rows.size());
  const BinEdges edges(kBins);
  const size_t length = (static_cast<size_t>(classes) - first) * kBins;
  std::vector<double> count(length, 0), positives(length, 0), row(classes);
  for (const int64_t i : data.rows) {
    data.logits.Row(i, row.data());
    SoftmaxInPlace(1, absl::MakeSpan(row));
    for (size_t k = first; k < row.size(); ++k) {
      const size_t bin = (k - first) * kBins + static_cast<size_t>(edges.IndexOf(row[k]));
      count[bin] += 1;
      positives[bin] += static_cast<size_t>(data.labels[i]) == k ? 1 : 0;
    }
  }
  if (!progress(0.5)) return FitCancelled();
  std::vector<double> values(length);
  for (size_t bin = 0; bin < length; ++bin) {
    const double centre = (static_cast<double>(bin % kBins) + 0.5) / kBins;
    values[bin] = count[bin] > 0
                      ? std::clamp(positives[bin] / count[bin], 1 / (rows + 2), (rows + 1) / (rows + 2))
                      : centre;
  }
  Fitted fitted;
  fitted.spec = {CalibrationMethod::kHistogram, classes, {{"value", std::move(values)}}};
  fitted.iterations = 1;
  return fitted;
}

}  // namespace

Method HistogramMethod() {
  return {.id = CalibrationMethod::kHistogram,
          .name = "histogram",
          .two_classes_only = false,
          .on_more_classes = CalibrationMethod::kHistogram,
          .keeps_prediction = false,
          .read = Read,
          .fit = Fit};
}

}  // namespace calserve
