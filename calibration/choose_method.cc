#include "calibration/choose_method.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "calibration/out_of_fold.h"

namespace calserve {
namespace {

// A method that stands for another on more classes has that other's place on two.
bool Competes(const Method& method, int classes) {
  if (classes > 2) return !method.two_classes_only;
  const absl::Span<const Method> all = AllMethods();
  return std::none_of(all.begin(), all.end(), [&](const Method& other) {
    return other.id != method.id && other.on_more_classes == method.id;
  });
}

// One method's part in the comparison.
struct Entry {
  const Method* method = nullptr;
  MethodComparison row;
  CalibrationMetrics metrics;
  std::vector<double> nlls;  // in the order of the splits, the same for every method
};

absl::StatusOr<Entry> Judge(const Method& method, const std::vector<FoldSplit>& splits, int bins,
                            int64_t max_bytes, const FitProgress& progress) {
  Entry entry;
  entry.method = &method;
  entry.row.method = method.id;
  MetricsAccumulator pooled(bins);
  const absl::Time start = absl::Now();
  for (size_t s = 0; s < splits.size(); ++s) {
    const auto part = [&](double fraction) {
      return progress((static_cast<double>(s) + fraction) / static_cast<double>(splits.size()));
    };
    const LabelledRows& rest = splits[s].rest;
    absl::Status judged = CheckBytesOfFit(method, rest.size(), rest.logits.classes(), max_bytes);
    if (judged.ok()) judged = JudgeSplit(method, splits[s], part, &pooled, &entry.nlls);
    if (absl::IsCancelled(judged)) return judged;
    if (!judged.ok()) {
      entry.row.failure = std::string(judged.message());
      return entry;
    }
  }
  entry.row.seconds = absl::ToDoubleSeconds(absl::Now() - start);
  entry.metrics = pooled.Metrics();
  entry.row.ece = entry.metrics.ece;
  entry.row.nll = entry.metrics.nll.value_or(0);
  entry.row.brier = entry.metrics.brier.value_or(0);
  return entry;
}

// Fills nll_excess and standard_error: mean d and sd(d) / sqrt(n) of d_i = nll_i - best_i.
void ComparePaired(const std::vector<double>& best, Entry* entry) {
  const double rows = static_cast<double>(best.size());
  double sum = 0, squares = 0;
  for (size_t i = 0; i < best.size(); ++i) sum += entry->nlls[i] - best[i];
  const double mean = sum / rows;
  for (size_t i = 0; i < best.size(); ++i) {
    const double deviation = entry->nlls[i] - best[i] - mean;
    squares += deviation * deviation;
  }
  entry->row.nll_excess = mean;
  entry->row.standard_error = rows > 1 ? std::sqrt(squares / (rows - 1) / rows) : 0;
}

}  // namespace

std::vector<const Method*> CompetingMethods(int classes) {
  std::vector<const Method*> out;
  for (const Method& method : AllMethods()) {
    if (Competes(method, classes)) out.push_back(&method);
  }
  return out;
}

absl::StatusOr<Choice> ChooseMethod(const std::vector<FoldSplit>& splits, int classes, int bins,
                                    const FitProgress& progress, int64_t max_bytes) {
  const std::vector<const Method*> methods = CompetingMethods(classes);
  const double count = static_cast<double>(methods.size());
  std::vector<Entry> entries;
  for (const Method* method : methods) {
    const double before = static_cast<double>(entries.size());
    absl::StatusOr<Entry> entry = Judge(*method, splits, bins, max_bytes, [&](double fraction) {
      return progress((before + fraction) / count);
    });
    if (!entry.ok()) return entry.status();
    entries.push_back(*std::move(entry));
  }
  // The first is plain softmax, which never fails.
  const Entry& plain = entries.front();
  const Entry* best = &plain;
  for (const Entry& entry : entries) {
    if (entry.row.failure.empty() && entry.row.nll < best->row.nll) best = &entry;
  }
  const std::vector<double> best_nlls = best->nlls;
  Choice choice;
  for (Entry& entry : entries) {
    if (entry.row.failure.empty()) {
      ComparePaired(best_nlls, &entry);
      entry.row.accuracy_change = entry.metrics.accuracy - plain.metrics.accuracy;
      if (choice.method == nullptr && entry.row.nll_excess <= entry.row.standard_error) {
        choice.method = entry.method;
        choice.metrics = entry.metrics;
      }
    }
    choice.comparison.push_back(entry.row);
  }
  return choice;
}

}  // namespace calserve
