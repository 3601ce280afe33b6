#include "server/logging/log_formatter.h"

#include <spdlog/details/log_msg.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/logging/escape.h"
#include "server/logging/log_fields.h"

namespace calserve {
namespace {

constexpr size_t kMaxMessage = 4096, kMaxValue = 512;  // bytes

absl::string_view LevelName(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return "debug";
    case spdlog::level::info:
      return "info";
    case spdlog::level::warn:
      return "warn";
    case spdlog::level::err:
      return "error";
    default:
      return "critical";
  }
}

// Needs no quotes in a line of text.
bool IsPlain(absl::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::StrContains("._:/@+-,[]()%*;#&~|<>", c);
  });
}

void AppendNumber(double value, std::string* out) {
  if (std::isfinite(value)) {
    absl::StrAppend(out, value);
  } else {
    out->append("null");  // JSON has no other.
  }
}

void AppendText(absl::string_view value, bool json, std::string* out) {
  if (!json && value.size() <= kMaxValue && IsPlain(value)) {
    out->append(value.data(), value.size());
    return;
  }
  out->push_back('"');
  AppendEscaped(value, Quoting::kQuoted, kMaxValue, out);
  out->push_back('"');
}

void AppendField(const LogField& field, bool json, std::string* out) {
  absl::StrAppend(out, json ? ",\"" : " ", field.name, json ? "\":" : "=");
  if (const auto* text = std::get_if<absl::string_view>(&field.value)) {
    AppendText(*text, json, out);
  } else if (const auto* number = std::get_if<double>(&field.value)) {
    AppendNumber(*number, out);
  } else {
    absl::StrAppend(out, std::get<int64_t>(field.value));
  }
}

void AppendFields(const RequestContext* request, absl::Span<const LogField> fields, bool json,
                  std::string* out) {
  for (const LogField& field : fields) AppendField(field, json, out);
  if (request == nullptr || request->empty()) return;
  AppendField({"request_id", request->request_id()}, json, out);
  AppendField({"trace_id", request->trace_id()}, json, out);
  AppendField({"span_id", request->span_id()}, json, out);
  if (!request->parent_span_id().empty()) {
    AppendField({"parent_span_id", request->parent_span_id()}, json, out);
  }
}

}  // namespace

std::string FormatLine(bool json, absl::Time time, spdlog::level::level_enum level, absl::string_view logger,
                       absl::string_view message, const RequestContext* request,
                       absl::Span<const LogField> fields) {
  const std::string stamp = absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
  std::string line;
  line.reserve(256);
  if (json) {
    absl::StrAppend(&line, "{\"time\":\"", stamp, "\",\"level\":\"", LevelName(level), "\"");
    if (!logger.empty()) absl::StrAppend(&line, ",\"logger\":\"", logger, "\"");
    line.append(",\"message\":\"");
    AppendEscaped(message, Quoting::kQuoted, kMaxMessage, &line);
    line.push_back('"');
    AppendFields(request, fields, json, &line);
    line.append("}\n");
    return line;
  }
  absl::StrAppend(&line, stamp, " ", LevelName(level), " ");
  AppendEscaped(message, Quoting::kBare, kMaxMessage, &line);
  AppendFields(request, fields, json, &line);
  line.push_back('\n');
  return line;
}

void LogFormatter::format(const spdlog::details::log_msg& line, spdlog::memory_buf_t& out) {
  const absl::string_view name(line.logger_name.data(), line.logger_name.size());
  const std::string formatted = FormatLine(json_, absl::FromChrono(line.time), line.level, name,
                                           absl::string_view(line.payload.data(), line.payload.size()),
                                           RequestScope::Current(), FieldsOfThread());
  out.append(formatted.data(), formatted.data() + formatted.size());
}

}  // namespace calserve
