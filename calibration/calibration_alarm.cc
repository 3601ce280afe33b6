#include "calibration/calibration_alarm.h"

#include <numbers>

#include "absl/strings/str_cat.h"
#include "calibration/byte_io.h"

namespace calserve {
namespace {

constexpr uint32_t kMagic = 0x41534c43;  // "CLSA"
constexpr uint32_t kVersion = 1;

void Write(const LogPoint& point, ByteWriter& writer) {
  writer.I64(point.position);
  writer.I64(point.time_micros);
}

LogPoint ReadPoint(ByteReader& reader) {
  const int64_t position = reader.I64();
  return {position, reader.I64()};
}

template <typename Bets>
void WriteBets(const Bets& bets, ByteWriter& writer) {
  for (const RestartedBet& bet : bets) {
    writer.F64(bet.wealth);
    writer.F64(bet.best);
    Write(bet.start, writer);
  }
}

// Also whether they can be the wealth of bets.
template <typename Process>
bool ReadBets(ByteReader& reader, Process& process) {
  typename Process::Bets bets;
  bool sound = true;
  for (RestartedBet& bet : bets) {
    bet.wealth = reader.F64();
    bet.best = reader.F64();
    bet.start = ReadPoint(reader);
    sound = sound && bet.wealth >= 0 && bet.wealth <= kMaxWealth && bet.best >= 0 && bet.best <= kMaxWealth;
  }
  process.Restore(bets);
  return sound;
}

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("a stored alarm is damaged: ", what));
}

}  // namespace

absl::Status CheckAlarmOptions(const AlarmOptions& options) {
  if (!(options.tolerance >= 0 && options.tolerance <= GapProcess::kMaxTolerance)) {
    return absl::InvalidArgumentError(
        absl::StrCat("tolerance must be in [0, ", GapProcess::kMaxTolerance, "]; was ", options.tolerance));
  }
  if (!(options.alpha >= kLeastAlarmShare && options.alpha <= kMostAlarmAlpha)) {
    return absl::InvalidArgumentError(absl::StrCat("alpha must be in [", kLeastAlarmShare, ", ",
                                                   kMostAlarmAlpha, "]; was ", options.alpha));
  }
  return absl::OkStatus();
}

CalibrationAlarm::CalibrationAlarm(const AlarmOptions& options)
    : options_(options),
      over_(GapDirection::kOverconfident, options.tolerance),
      under_(GapDirection::kUnderconfident, options.tolerance) {}

absl::StatusOr<CalibrationAlarm> CalibrationAlarm::Create(const AlarmOptions& options) {
  if (absl::Status status = CheckAlarmOptions(options); !status.ok()) return status;
  return CalibrationAlarm(options);
}

double CalibrationAlarm::Threshold() const {
  const double k = static_cast<double>(acknowledgements_ + 1);
  return std::numbers::pi * std::numbers::pi * k * k / (3 * options_.alpha);
}

void CalibrationAlarm::Push(double confidence, bool correct, const LogPoint& label) {
  exact_.Push(confidence, correct, exact_weights_.Next(), label);
  const double gap = confidence - (correct ? 1.0 : 0.0);
  const double weight = weights_.Next();
  over_.Push(gap, weight, label);
  under_.Push(gap, weight, label);
  if (raised_.has_value()) return;
  const double waiting = weights_.waiting();
  if (over_.EValue(waiting) >= Threshold()) {
    raised_ = {GapDirection::kOverconfident, label, over_.ChangePoint()};
  } else if (under_.EValue(waiting) >= Threshold()) {
    raised_ = {GapDirection::kUnderconfident, label, under_.ChangePoint()};
  }
}

bool CalibrationAlarm::Acknowledge(const LogPoint& at) {
  if (!raised_.has_value()) return false;
  if (acknowledged_.has_value() && at.position <= acknowledged_->position) return false;
  raised_.reset();
  acknowledged_ = at;
  ++acknowledgements_;
  weights_ = RestartWeights();
  over_ = GapProcess(GapDirection::kOverconfident, options_.tolerance);
  under_ = GapProcess(GapDirection::kUnderconfident, options_.tolerance);
  return true;
}

AlarmStatus CalibrationAlarm::Status() const {
  AlarmStatus status;
  status.options = options_;
  status.labels = weights_.labels();
  status.e_overconfident = over_.EValue(weights_.waiting());
  status.e_underconfident = under_.EValue(weights_.waiting());
  status.threshold = Threshold();
  status.e_exact = exact_.EValue(exact_weights_.waiting());
  status.raised = raised_;
  status.acknowledgements = acknowledgements_;
  status.acknowledged = acknowledged_;
  return status;
}

std::string CalibrationAlarm::Serialize() const {
  ByteWriter writer;
  writer.U32(kMagic);
  writer.U32(kVersion);
  writer.F64(options_.tolerance);
  writer.F64(options_.alpha);
  writer.I64(acknowledgements_);
  Write(acknowledged_.value_or(LogPoint()), writer);
  writer.U32(raised_.has_value() ? 1 : 0);
  const RaisedAlarm raised = raised_.value_or(RaisedAlarm());
  writer.U32(raised.direction == GapDirection::kOverconfident ? 0 : 1);
  Write(raised.since, writer);
  Write(raised.change_point, writer);
  writer.I64(weights_.labels());
  WriteBets(over_.bets(), writer);
  WriteBets(under_.bets(), writer);
  writer.I64(exact_weights_.labels());
  WriteBets(exact_.bets(), writer);
  return std::move(writer).Take();
}

absl::StatusOr<CalibrationAlarm> CalibrationAlarm::Deserialize(absl::string_view bytes) {
  ByteReader reader(bytes);
  if (reader.U32() != kMagic) return Damaged("it does not begin as one");
  if (const uint32_t version = reader.U32(); version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("a stored alarm is of version ", version, "; this program reads ", kVersion));
  }
  AlarmOptions options;
  options.tolerance = reader.F64();
  options.alpha = reader.F64();
  if (!CheckAlarmOptions(options).ok()) return Damaged("its options are out of range");
  CalibrationAlarm alarm(options);
  alarm.acknowledgements_ = reader.I64();
  const LogPoint acknowledged = ReadPoint(reader);
  if (alarm.acknowledgements_ > 0) alarm.acknowledged_ = acknowledged;
  const bool raised = reader.U32() == 1;
  const GapDirection direction =
      reader.U32() == 0 ? GapDirection::kOverconfident : GapDirection::kUnderconfident;
  const LogPoint since = ReadPoint(reader);
  const LogPoint change_point = ReadPoint(reader);
  if (raised) alarm.raised_ = {direction, since, change_point};
  const int64_t labels = reader.I64();
  bool sound = ReadBets(reader, alarm.over_) && ReadBets(reader, alarm.under_);
  const int64_t exact_labels = reader.I64();
  sound = sound && ReadBets(reader, alarm.exact_);
  if (!sound || labels < 0 || exact_labels < labels || alarm.acknowledgements_ < 0) {
    return Damaged("a value is out of range");
  }
  if (!reader.ok() || reader.left() != 0) return Damaged("its length is wrong");
  alarm.weights_ = RestartWeights(labels);
  alarm.exact_weights_ = RestartWeights(exact_labels);
  return alarm;
}

}  // namespace calserve
