#ifndef CALSERVE_CALIBRATION_CALIBRATION_ALARM_H_
#define CALSERVE_CALIBRATION_CALIBRATION_ALARM_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "calibration/exactness_process.h"
#include "calibration/gap_process.h"
#include "calibration/restarted_bet.h"

namespace calserve {

struct AlarmOptions {
  double tolerance = 0.01;  // tau: a mean gap between confidence and correctness that nobody minds
  double alpha = 0.01;      // chance of ever raising a false alarm
  friend bool operator==(const AlarmOptions&, const AlarmOptions&) = default;
};

inline constexpr double kLeastAlarmAlpha = 1e-9;  // that anyone may ask for
inline constexpr double kMostAlarmAlpha = 0.5;
inline constexpr double kLeastAlarmShare = 1e-20;  // of one of many alarms that share an alpha

// INVALID_ARGUMENT unless tolerance is in [0, GapProcess::kMaxTolerance] and alpha in [kLeastAlarmShare,
// kMostAlarmAlpha].
absl::Status CheckAlarmOptions(const AlarmOptions& options);

struct RaisedAlarm {
  GapDirection direction = GapDirection::kOverconfident;
  LogPoint since;         // the label that raised it
  LogPoint change_point;  // estimated: the first label of what is found
  friend bool operator==(const RaisedAlarm&, const RaisedAlarm&) = default;
};

// What an alarm says at one label. E-values start at 1, stay below 1/a but with probability a while their
// hypothesis holds, and are cut at about 1e60.
struct AlarmStatus {
  AlarmOptions options;
  int64_t labels = 0;          // since the start, or the last acknowledgement
  double e_overconfident = 1;  // against: the mean gap confidence - correct is at most tau
  double e_underconfident = 1;
  double threshold = 0;  // one of the two at or above it raises the alarm
  double e_exact = 1;    // against: confidences are exactly right; over all labels, raises nothing
  std::optional<RaisedAlarm> raised;
  int64_t acknowledgements = 0;
  std::optional<LogPoint> acknowledged;  // the last one
  friend bool operator==(const AlarmStatus&, const AlarmStatus&) = default;
};

// Watches the labels of one calibrator, one after the other, for a mean gap beyond tau in either direction.
//
// False alarms, over the whole life: after the k-1st acknowledgement the two processes begin anew, and
// are alarmed at
//   alpha_k = alpha 6 / (pi^2 k^2),   half of it to each direction: threshold_k = 2 / alpha_k.
// An acknowledgement is decided on the past alone, so Ville's inequality holds from there on, and by the
// union bound over directions and k a false alarm is ever raised with probability at most sum_k alpha_k =
// alpha: however long it runs, however often it is looked at, acknowledged or not.
//
// Once raised, an alarm stays as it is until it is acknowledged; e-values go on meanwhile. O(1) a label,
// about 1.3 KB. A pure function of the labels and acknowledgements, to the bit. Not thread-safe; copyable.
class CalibrationAlarm final {
 public:
  CalibrationAlarm() : CalibrationAlarm(AlarmOptions()) {}
  static absl::StatusOr<CalibrationAlarm> Create(const AlarmOptions& options);

  // `confidence` in [0, 1].
  void Push(double confidence, bool correct, const LogPoint& label);
  // Takes the alarm back and begins anew; false, and nothing changes, where none is raised or `at` is not
  // after the last acknowledgement.
  bool Acknowledge(const LogPoint& at);
  AlarmStatus Status() const;
  bool raised() const { return raised_.has_value(); }
  const AlarmOptions& options() const { return options_; }

  // The whole state, options included, as bytes, and back; the restored one goes on to the bit. DATA_LOSS for
  // bytes that are not that, FAILED_PRECONDITION for those of another version.
  std::string Serialize() const;
  static absl::StatusOr<CalibrationAlarm> Deserialize(absl::string_view bytes);

 private:
  explicit CalibrationAlarm(const AlarmOptions& options);
  double Threshold() const;

  AlarmOptions options_;
  int64_t acknowledgements_ = 0;
  std::optional<LogPoint> acknowledged_;
  std::optional<RaisedAlarm> raised_;
  RestartWeights weights_;  // of the two gap processes
  GapProcess over_, under_;
  RestartWeights exact_weights_;
  ExactnessProcess exact_;
};

}  // namespace calserve

#endif  // CALSERVE_CALIBRATION_CALIBRATION_ALARM_H_
