#ifndef CALSERVE_CALIBRATION_ROLLING_WINDOWS_H_
#define CALSERVE_CALIBRATION_ROLLING_WINDOWS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "calibration/bin_edges.h"
#include "calibration/label_ring.h"
#include "calibration/metrics.h"
#include "calibration/window_label.h"
#include "calibration/window_state.h"

namespace calserve {

class ByteReader;

// The state of RollingWindows at one time, for writing it while they are reported on: labels are not copied.
// Stays as it is until the next Push, whatever is reported and from whatever thread.
class WindowsState final {
 public:
  // The bytes that RollingWindows::Serialize would have given.
  std::string Serialize() const;

 private:
  friend class RollingWindows;
  std::string before_;  // the labels
  LabelRing::View labels_;
  std::string after_;
};

// The windows over one stream of labels: last-N, last-T and exponential decay, sharing one ring of 32 bytes a
// label (40 once one came with extras). Sums are integers (confidence in 2^-30, NLL and Brier in 2^-24), so
// that eviction is exact; a decaying window's are doubles that only pushes change, in order. So a report
// depends on nothing but the labels and `now`: it equals that of a fold from scratch to the bit. Push is
// O(windows) amortised: a time window may have many to evict at once. A report is O(bins), once what has aged
// is evicted. The ring doubles as it grows, up to the largest window, where it is full at 32 (40) bytes a
// label; it holds nothing that no window needs and shrinks when a quarter full. Not thread-safe.
class RollingWindows final {
 public:
  // `max_labels` bounds the ring: a last-T window that would hold more evicts its oldest early and says so; a
  // last-N window of more is INVALID_ARGUMENT, as are no or invalid specs and two of one name.
  static absl::StatusOr<std::unique_ptr<RollingWindows>> Create(std::vector<WindowSpec> specs,
                                                                int bins = kDefaultBins,
                                                                int64_t max_labels = 1'000'000);

  // INVALID_ARGUMENT for a value out of range, or time that runs backwards; nothing is changed then.
  absl::Status Push(const WindowLabel& label);

  // Metrics of the window `index` as of `now_micros` (the last label's time, if that is later). Evicts what
  // is older than last-T, for good: an earlier `now` in a later call is answered as of the later one.
  WindowMetrics Report(int index, int64_t now_micros);

  const std::vector<WindowSpec>& specs() const { return specs_; }
  int64_t labels_held() const { return ring_.size(); }
  int64_t bytes() const;

  // The whole state as bytes of a versioned little-endian format, and back; the restored one goes on to the
  // bit. Deserialise refuses bytes of other window specs, bins, max_labels or version with
  // FAILED_PRECONDITION, damaged ones with DATA_LOSS. About 32 bytes a label held, 40 with extras.
  std::string Serialize() const { return State().Serialize(); }
  WindowsState State() const;            // O(windows × bins)
  int64_t max_serialized_bytes() const;  // when the ring is full
  static absl::StatusOr<std::unique_ptr<RollingWindows>> Deserialize(absl::string_view bytes,
                                                                     std::vector<WindowSpec> specs, int bins,
                                                                     int64_t max_labels);

 private:
  using Window = std::variant<RingWindow, DecayWindow>;

  RollingWindows(std::vector<WindowSpec> specs, int bins, int64_t max_labels);
  void DropUnneeded();
  absl::Status Restore(ByteReader* reader);

  const std::vector<WindowSpec> specs_;
  const BinEdges edges_;
  const int64_t max_labels_;
  int64_t last_micros_ = 0;  // time of the newest label
  LabelRing ring_;
  std::vector<Window> windows_;  // as specs_
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_ROLLING_WINDOWS_H_
