#ifndef CALSERVE_CLIENT_CLI_JSON_OUTPUT_H_
#define CALSERVE_CLIENT_CLI_JSON_OUTPUT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/types.h"
#include "nlohmann/json.hpp"

namespace calserve::cli {

// What --json prints. Keys are those of the messages in proto/calserve/v1; tickets are base64, times RFC 3339
// in UTC.
nlohmann::ordered_json ToJson(const client::Prediction& prediction);
nlohmann::ordered_json ToJson(const client::FeedbackResult& result);
nlohmann::ordered_json ToJson(const client::WindowReport& report);
nlohmann::ordered_json ToJson(const client::AlarmInfo& alarm);
nlohmann::ordered_json ToJson(const client::LabelSelection& selection);
nlohmann::ordered_json ToJson(const client::ModelAlarm& alarm);
nlohmann::ordered_json ToJson(const client::Slice& slice);
nlohmann::ordered_json ToJson(const client::CalibratorComparison& comparison);
nlohmann::ordered_json ToJson(const client::CalibratorInfo& calibrator);
nlohmann::ordered_json ToJson(const client::ModelInfo& model);
// {"code": "NOT_FOUND", "reason": the server's UPPER_SNAKE or "", "message": a sentence}
nlohmann::ordered_json ToJson(const absl::Status& error);

// A line of the file that `calserve feedback` reads: {"ticket": BASE64, "label": INDEX or NAME} and
// "inclusion_probability"; what `predict --json` prints may stand beside them. Any other key is an error.
absl::StatusOr<client::Feedback> FeedbackFromJson(absl::string_view line);
absl::StatusOr<std::string> TicketFromBase64(absl::string_view text);

std::string TimeText(absl::Time time);
const char* StateName(client::CalibratorInfo::State state);
const char* StateName(client::ModelVersionInfo::State state);
const char* OutcomeName(client::FeedbackResult::Outcome outcome);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_JSON_OUTPUT_H_
