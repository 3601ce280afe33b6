#include "client/cli/refit_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/json_output.h"
#include "client/cli/printable.h"
#include "client/cli/text_table.h"

namespace calserve::cli {
namespace {

using Status = client::RefitStatus;
using Json = nlohmann::ordered_json;

const char* Name(Status::State state) {
  switch (state) {
    case Status::State::kOff:
      return "OFF";
    case Status::State::kWaiting:
      return "WAITING";
    case Status::State::kCoolingDown:
      return "COOLING_DOWN";
    case Status::State::kSelectiveLabels:
      return "SELECTIVE_LABELS";
    case Status::State::kGathering:
      return "GATHERING";
    case Status::State::kRunning:
      return "RUNNING";
    case Status::State::kUnknown:
      break;
  }
  return "UNKNOWN";
}

const char* Name(Status::Kind kind) {
  if (kind == Status::Kind::kRefit) return "REFIT";
  return kind == Status::Kind::kRollback ? "ROLLBACK" : "UNKNOWN";
}

const char* Name(Status::Outcome outcome) {
  switch (outcome) {
    case Status::Outcome::kJudging:
      return "JUDGING";
    case Status::Outcome::kActivated:
      return "ACTIVATED";
    case Status::Outcome::kKept:
      return "KEPT";
    case Status::Outcome::kSuperseded:
      return "SUPERSEDED";
    case Status::Outcome::kInterrupted:
      return "INTERRUPTED";
    case Status::Outcome::kUnknown:
      break;
  }
  return "UNKNOWN";
}

std::string AttemptsTable(const std::vector<Status::Attempt>& attempts, const Terminal& terminal) {
  TextTable table({{"time"},
                   {"kind"},
                   {"attempt", TextTable::Align::kRight},
                   {"active", TextTable::Align::kRight},
                   {"candidate", TextTable::Align::kRight},
                   {"outcome"},
                   {"judged to label", TextTable::Align::kRight},
                   {"reason"}});
  for (const Status::Attempt& attempt : attempts) {
    table.AddRow({TimeText(attempt.time), Name(attempt.kind), absl::StrCat(attempt.number),
                  absl::StrCat(attempt.incumbent), absl::StrCat(attempt.candidate), Name(attempt.outcome),
                  absl::StrCat(attempt.judged_position), attempt.reason});
  }
  return table.ToString(terminal);
}

}  // namespace

std::string RefitText(const Status& status, const Terminal& terminal) {
  std::string out = absl::StrCat(
      terminal.Bold(Printable(absl::StrCat(status.model, "/", status.model_version, " calibrator ",
                                           status.calibrator_version, ": ", Name(status.state)))),
      ", refit on ", Printable(status.trigger), "\n", Printable(status.reason), "\n");
  if (status.state == Status::State::kOff && status.attempts.empty()) return out;
  if (status.state == Status::State::kGathering) {
    absl::StrAppend(&out, "for a ", status.kind == Status::Kind::kRollback ? "rollback" : "refit",
                    ": at least ", status.labels_needed, " labels more\n");
  }
  if (status.not_before.has_value()) absl::StrAppend(&out, "not before ", TimeText(*status.not_before), "\n");
  absl::StrAppendFormat(&out, "attempt %d of this calibrator is tested at %.3g\n", status.next_attempt,
                        status.next_level);
  if (status.attempts.empty()) return absl::StrCat(out, "no attempt so far\n");
  return absl::StrCat(out, "\n", AttemptsTable(status.attempts, terminal));
}

Json ToJson(const Status& status) {
  Json attempts = Json::array();
  for (const Status::Attempt& attempt : status.attempts) {
    attempts.push_back({{"kind", Name(attempt.kind)},
                        {"incumbent_version", attempt.incumbent},
                        {"candidate_version", attempt.candidate},
                        {"attempt", attempt.number},
                        {"outcome", Name(attempt.outcome)},
                        {"reason", attempt.reason},
                        {"time", TimeText(attempt.time)},
                        {"judged_position", attempt.judged_position}});
  }
  const bool gathering = status.state == Status::State::kGathering;
  return {{"model", status.model},
          {"model_version", status.model_version},
          {"trigger", status.trigger},
          {"calibrator_version", status.calibrator_version},
          {"state", Name(status.state)},
          {"kind", gathering ? Json(Name(status.kind)) : Json(nullptr)},
          {"reason", status.reason},
          {"labels_needed", status.labels_needed},
          {"not_before", status.not_before.has_value() ? Json(TimeText(*status.not_before)) : Json(nullptr)},
          {"next_attempt", status.next_attempt},
          {"next_level", status.next_level},
          {"attempts", std::move(attempts)}};
}

}  // namespace calserve::cli
