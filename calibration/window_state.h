#ifndef CALSERVE_CALIBRATION_WINDOW_STATE_H_
#define CALSERVE_CALIBRATION_WINDOW_STATE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "calibration/bin_edges.h"
#include "calibration/label_extras.h"
#include "calibration/label_ring.h"
#include "calibration/metrics.h"
#include "calibration/metrics_accumulator.h"
#include "calibration/window_label.h"

namespace calserve {

// What one score adds to a window's sums, and takes away again: a function of its packed form alone.
struct ScoreUnits {
  ScoreUnits(const PackedScore& score, const BinEdges& edges);

  int bin;
  bool correct;
  bool with_logits;
  int64_t confidence;  // 2^-30
  int64_t nll;         // 2^-24, 0 without logits
  int64_t brier;       // 2^-24, 0 without logits
};

struct LabelUnits {
  LabelUnits(const PackedLabel& label, const LabelExtras& e, const BinEdges& edges)
      : served(label.served, edges), uncalibrated(label.uncalibrated, edges), extras(e) {}
  ScoreUnits served, uncalibrated;
  LabelExtras extras;
};

// Integer sums over the labels of a window. Room for 2^31 labels.
class IntegerSums {
 public:
  explicit IntegerSums(int bins) : bins_(bins) {}

  void Add(const ScoreUnits& score) { Apply(score, 1); }
  void Remove(const ScoreUnits& score) { Apply(score, -1); }
  // Adds the labels of `other`: the same as one pass over both, exactly. INVALID_ARGUMENT, and nothing
  // changed, where its bins have other edges.
  absl::Status Merge(const IntegerSums& other);
  MetricsSums ToMetricsSums() const;

 private:
  struct Bin {
    int64_t count = 0, confidence = 0, correct = 0;
  };
  void Apply(const ScoreUnits& score, int64_t sign);

  std::vector<Bin> bins_;
  int64_t with_logits_ = 0, nll_ = 0, brier_ = 0;
};

// A last-N or last-T window: the labels of the ring from start() on.
class RingWindow {
 public:
  RingWindow(const WindowSpec& spec, int bins, int64_t max_labels);

  int64_t start() const { return start_; }
  // Time of the newest label that was evicted only for max_labels' sake; before any time if none was.
  int64_t truncated_micros() const { return truncated_micros_; }

  // Evicts what is older than last-T at `now_micros`.
  void Age(int64_t now_micros, const LabelRing& ring, const BinEdges& edges);
  // Evicts what one more label, of `now_micros`, leaves no room for.
  void MakeRoom(int64_t now_micros, const LabelRing& ring, const BinEdges& edges);
  // Counts the label that is about to join the ring.
  void Add(const LabelUnits& label);
  WindowMetrics Report(int64_t now_micros) const;

  // Takes up a stored state: counts the labels of `ring` from `start` on.
  void Restore(int64_t start, int64_t truncated_micros, const LabelRing& ring, const BinEdges& edges);

 private:
  void EvictOldest(const LabelRing& ring, const BinEdges& edges);

  int64_t max_count_;  // labels
  int64_t max_age_;    // microseconds; 0 in a last-N window
  int64_t start_ = 0;  // position
  int64_t truncated_micros_ = -1;
  IntegerSums served_, uncalibrated_;
  ExtraSums extras_;
};

// A decaying window: a label of age t weighs 2^(-t / half-life). Weights are kept relative to a reference
// time, so that a push touches one bin; the sums are brought to a new reference when weights reach 2^32. Only
// pushes change the state, a report scales a copy.
class DecayWindow {
 public:
  // The state, as stored.
  struct Sums {
    int64_t reference_micros = -1;  // -1 before the first label
    MetricsSums served, uncalibrated;
  };

  DecayWindow(int64_t half_life_micros, int bins);

  void Add(int64_t time_micros, const LabelUnits& label);
  WindowMetrics Report(int64_t now_micros) const;

  const Sums& sums() const { return sums_; }
  void Restore(Sums sums) { sums_ = std::move(sums); }

 private:
  double HalfLives(int64_t micros) const { return static_cast<double>(micros) / half_life_; }

  double half_life_;  // microseconds
  Sums sums_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_WINDOW_STATE_H_
