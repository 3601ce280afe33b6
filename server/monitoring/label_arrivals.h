#ifndef CALSERVE_SERVER_MONITORING_LABEL_ARRIVALS_H_
#define CALSERVE_SERVER_MONITORING_LABEL_ARRIVALS_H_

#include <array>
#include <cstdint>

#include "absl/time/time.h"
#include "server/telemetry/issued_confidences.h"

namespace calserve {

// Which predictions got a label, and how long it took, since the process counts. 2 KB.
class LabelArrivals final {
 public:
  struct Summary {
    // Of the predictions that were issued since then: the part of IssuedConfidences' that is labelled.
    ConfidenceSums labelled;
    int64_t labels = 0;           // all that were folded, whenever their prediction was issued
    absl::Duration mean_delay;    // of those, from the prediction to the commit of its label
    absl::Duration median_delay;  // within 10 %
  };

  // `counted`: the prediction was issued since the process counts.
  void Add(double confidence, absl::Duration delay, bool counted);
  Summary summary() const;

 private:
  // Eight buckets an octave, from 1 ms on; the last one takes what is longer (about 50 days).
  static constexpr int kBuckets = 8 * 32;
  static int BucketOf(int64_t millis);
  static absl::Duration MiddleOf(int bucket);

  ConfidenceSums labelled_;
  int64_t labels_ = 0;
  int64_t delay_millis_ = 0;
  std::array<int64_t, kBuckets> buckets_{};
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MONITORING_LABEL_ARRIVALS_H_
