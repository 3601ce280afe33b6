#include "calibration/rolling_windows.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

absl::Status CheckSpecs(const std::vector<WindowSpec>& specs, int64_t max_labels) {
  if (specs.empty()) return absl::InvalidArgumentError("there must be at least one window");
  std::set<std::string> names;
  for (const WindowSpec& spec : specs) {
    const bool by_count = spec.kind == WindowSpec::Kind::kLastCount;
    if ((by_count ? spec.count : spec.micros) < 1) {
      return absl::InvalidArgumentError(absl::StrCat("window ", spec.name, " must span at least 1"));
    }
    if (by_count && spec.count > max_labels) {
      return absl::InvalidArgumentError(
          absl::StrCat("window ", spec.name, " must span at most max_labels = ", max_labels, " labels"));
    }
    if (!names.insert(spec.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("there are two windows named ", spec.name));
    }
  }
  return absl::OkStatus();
}

// Labels that the ring must hold at most.
int64_t RingBound(const std::vector<WindowSpec>& specs, int64_t max_labels) {
  int64_t bound = 0;
  for (const WindowSpec& spec : specs) {
    if (spec.kind == WindowSpec::Kind::kLastCount) bound = std::max(bound, spec.count);
    if (spec.kind == WindowSpec::Kind::kLastDuration) bound = std::max(bound, max_labels);
  }
  return bound;
}

bool InRange(float value, float max) { return value >= 0 && value <= max; }  // false for NaN

absl::Status CheckField(const std::string& name, float value, float max) {
  if (InRange(value, max)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must be in [0, ", max, "]; was ", value));
}

absl::Status CheckScore(const std::string& name, const WindowLabel::Score& score) {
  constexpr float kMostNll = static_cast<float>(kMaxNll);
  const bool with_logits = score.nll != WindowLabel::kNoLogits || score.brier != WindowLabel::kNoLogits;
  // Names are for what is refused: making them would take longer than the rest of a Push.
  if (InRange(score.confidence, 1) &&
      (!with_logits || (InRange(score.nll, kMostNll) && InRange(score.brier, 2)))) {
    return absl::OkStatus();
  }
  if (absl::Status s = CheckField(name + " confidence", score.confidence, 1); !s.ok()) return s;
  if (absl::Status s = CheckField(name + " nll", score.nll, kMostNll); !s.ok()) return s;
  return CheckField(name + " brier", score.brier, 2);
}

}  // namespace

RollingWindows::RollingWindows(std::vector<WindowSpec> specs, int bins, int64_t max_labels)
    : specs_(std::move(specs)), edges_(bins), max_labels_(max_labels), ring_(RingBound(specs_, max_labels)) {
  for (const WindowSpec& spec : specs_) {
    if (spec.kind == WindowSpec::Kind::kDecay) {
      windows_.emplace_back(DecayWindow(spec.micros, bins));
    } else {
      windows_.emplace_back(RingWindow(spec, bins, max_labels));
    }
  }
}

absl::StatusOr<std::unique_ptr<RollingWindows>> RollingWindows::Create(std::vector<WindowSpec> specs,
                                                                       int bins, int64_t max_labels) {
  if (bins < 1 || bins > kMaxBins) {
    return absl::InvalidArgumentError(absl::StrCat("bins must be in [1, ", kMaxBins, "]; was ", bins));
  }
  if (max_labels < 1 || max_labels > kMaxWindowLabels) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_labels must be in [1, ", kMaxWindowLabels, "]; was ", max_labels));
  }
  if (absl::Status status = CheckSpecs(specs, max_labels); !status.ok()) return status;
  return std::unique_ptr<RollingWindows>(new RollingWindows(std::move(specs), bins, max_labels));
}

absl::Status RollingWindows::Push(const WindowLabel& label) {
  if (label.time_micros < last_micros_) {
    return absl::InvalidArgumentError(
        absl::StrCat("time_micros must not be before ", last_micros_, "; was ", label.time_micros));
  }
  if (absl::Status status = CheckScore("served", label.served); !status.ok()) return status;
  if (absl::Status status = CheckScore("uncalibrated", label.uncalibrated); !status.ok()) return status;

  const PackedLabel packed = {label.time_micros, PackedScore::From(label.served),
                              PackedScore::From(label.uncalibrated)};
  const LabelUnits units(packed, label.extras, edges_);
  last_micros_ = label.time_micros;
  for (Window& window : windows_) {
    if (RingWindow* ring_window = std::get_if<RingWindow>(&window)) {
      ring_window->MakeRoom(label.time_micros, ring_, edges_);
      ring_window->Add(units);
    } else {
      std::get<DecayWindow>(window).Add(label.time_micros, units);
    }
  }
  if (ring_.bound() == 0) return absl::OkStatus();
  DropUnneeded();
  ring_.PushBack(packed, label.extras);
  return absl::OkStatus();
}

WindowMetrics RollingWindows::Report(int index, int64_t now_micros) {
  now_micros = std::max(now_micros, last_micros_);
  Window& window = windows_[index];
  if (const DecayWindow* decay = std::get_if<DecayWindow>(&window)) return decay->Report(now_micros);
  RingWindow& ring_window = std::get<RingWindow>(window);
  ring_window.Age(now_micros, ring_, edges_);
  DropUnneeded();
  return ring_window.Report(now_micros);
}

void RollingWindows::DropUnneeded() {
  int64_t needed = ring_.end();
  for (const Window& window : windows_) {
    if (const RingWindow* ring_window = std::get_if<RingWindow>(&window)) {
      needed = std::min(needed, ring_window->start());
    }
  }
  ring_.DropBefore(needed);
}

int64_t RollingWindows::bytes() const {
  constexpr int64_t kBytesPerBin = 2 * 3 * 8;  // served and uncalibrated, three sums
  const int64_t windows = static_cast<int64_t>(windows_.size());
  return ring_.bytes() + windows * (static_cast<int64_t>(sizeof(Window)) + edges_.bins() * kBytesPerBin);
}

}  // namespace calserve
