#ifndef CALSERVE_CALIBRATION_LABEL_EXTRAS_H_
#define CALSERVE_CALIBRATION_LABEL_EXTRAS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "calibration/metrics/estimate.h"

namespace calserve {

// What a label may bring beside its scores, in 8 bytes: how often a label like it is chosen, and how it
// stands to the prediction sets of its calibrator's first kSets thresholds. A value; empty by default.
class LabelExtras {
 public:
  static constexpr int kSets = 4;
  static constexpr int kMaxSetSize = 2046;    // classes
  static constexpr double kMaxWeight = 1024;  // of 1 / p
  static constexpr double kWeightUnit = 0x1p-12;
  struct Set {
    bool covered = false;  // the label is in it
    int size = 0;          // classes
  };

  static LabelExtras FromBits(uint64_t bits);
  uint64_t bits() const { return bits_; }
  bool empty() const { return bits_ == 0; }

  // `probability` in (0, 1]. Its inverse is rounded to 13 significant bits (1.2e-4 relative), at most
  // kMaxWeight.
  void SetInclusionProbability(double probability);
  // `slot` in [0, kSets), size in [0, kMaxSetSize].
  void SetSet(int slot, Set set);

  std::optional<int64_t> weight() const;  // in kWeightUnit
  std::optional<Set> set(int slot) const;

 private:
  // From the lowest bit: kSets times 12 bits, 0 or 2 (size + 1) + covered; 16 bits, 0 or 1 + 4096 e + m for
  // the weight 2^e (1 + m / 4096).
  uint64_t bits_ = 0;
};

struct SetCounts {
  int64_t n = 0;        // labels with a set
  int64_t covered = 0;  // of which it holds the label
  int64_t size = 0;     // classes, of all
  friend bool operator==(const SetCounts&, const SetCounts&) = default;
};

// Estimates for all predictions from labels that were each chosen with a known probability p: a label weighs
// w = 1 / p.
//   population = sum w                                  (Horvitz and Thompson, 1952)
//   accuracy, confidence gap: sum w x / sum w           (Hajek, 1971), with the normal interval of the
//   linearised
//                                                       variance sum w^2 (x - mean)^2 / (sum w)^2 (Cochran,
//                                                       1977)
//   n_effective = (sum w)^2 / sum w^2                   (Kish, 1965)
// Unbiased where labels are missing at random given p: as docs/calibration.md says.
struct WeightedEstimates {
  int64_t n = 0;
  double population = 0;
  double n_effective = 0;
  Estimate accuracy;
  Estimate confidence_gap;  // mean confidence - accuracy
  double ece = 0;           // of the weighted bins
  double noise_floor = 0;   // of a calibrated model with n_effective labels
  friend bool operator==(const WeightedEstimates&, const WeightedEstimates&) = default;
};

// Integer sums over the extras of labels: exact, whatever comes and goes in whatever order. Room for 2^30
// labels.
class ExtraSums {
 public:
  explicit ExtraSums(int bins) : bin_count_(bins) {}

  // A label's extras and its score: `confidence` in 2^-30.
  void Add(const LabelExtras& extras, int bin, int64_t confidence, bool correct) {
    if (!extras.empty()) Apply(extras, bin, confidence, correct, 1);
  }
  void Remove(const LabelExtras& extras, int bin, int64_t confidence, bool correct) {
    if (!extras.empty()) Apply(extras, bin, confidence, correct, -1);
  }

  const std::array<SetCounts, LabelExtras::kSets>& sets() const { return sets_; }
  // Unset without a label that has an inclusion probability.
  std::optional<WeightedEstimates> Weighted() const;

 private:
  struct Bin {
    int64_t weight = 0;      // kWeightUnit
    int64_t confidence = 0;  // weighted, 2^-20
    int64_t correct = 0;     // weighted, kWeightUnit
  };
  void Apply(const LabelExtras& extras, int bin, int64_t confidence, bool correct, int64_t sign);
  void ApplyWeight(int64_t weight, Bin& bin, int64_t confidence, bool correct, int64_t sign);

  int bin_count_;
  std::array<SetCounts, LabelExtras::kSets> sets_ = {};
  std::vector<Bin> bins_;  // none before the first label with a weight
  int64_t n_ = 0;
  // Of w^2, w^2 y, w^2 g and w^2 g^2, g = confidence - correct; in 2^-10.
  int64_t squares_ = 0, squares_correct_ = 0, squares_gap_ = 0, squares_gap2_ = 0;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_LABEL_EXTRAS_H_
