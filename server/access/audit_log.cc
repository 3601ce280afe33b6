#include "server/access/audit_log.h"

#include <fcntl.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/logging/log.h"

namespace calserve {
namespace {

constexpr size_t kMaxValue = 512;  // bytes

bool IsPlain(absl::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("._:/@+-,[]", c);
  });
}

// Names are ours; values are anybody's.
void Append(absl::string_view name, absl::string_view value, std::string* line) {
  const absl::string_view shown = value.substr(0, kMaxValue);
  if (IsPlain(shown)) {
    absl::StrAppend(line, " ", name, "=", shown);
  } else {
    absl::StrAppend(line, " ", name, "=\"", absl::CHexEscape(shown), "\"");
  }
}

}  // namespace

std::string AuditLog::Line(const AuditRecord& record, const absl::Status& outcome) {
  std::string line = "audit";
  Append("who", record.who, &line);
  if (!record.peer.empty()) Append("peer", record.peer, &line);
  Append("action", record.action, &line);
  if (!record.request_id.empty()) Append("request_id", record.request_id, &line);
  for (const auto& [name, value] : record.details) Append(name, value, &line);
  Append("outcome", absl::StatusCodeToString(outcome.code()), &line);
  if (!outcome.ok()) Append("message", outcome.message(), &line);
  return line;
}

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const std::string& file) {
  std::shared_ptr<spdlog::logger> logger;
  if (file.empty()) {
    const auto& sinks = spdlog::default_logger()->sinks();
    logger = std::make_shared<spdlog::logger>("audit", sinks.begin(), sinks.end());
  } else {
    const int fd = open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("access.audit_file: ", file, " cannot be written: ", std::strerror(errno)));
    }
    close(fd);
    try {
      logger = std::make_shared<spdlog::logger>("audit",
                                                std::make_shared<spdlog::sinks::basic_file_sink_mt>(file));
    } catch (const spdlog::spdlog_ex& e) {
      return absl::FailedPreconditionError(absl::StrCat("access.audit_file: ", e.what()));
    }
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %v");
  }
  logger->set_level(spdlog::level::info);
  logger->flush_on(spdlog::level::info);
  return std::unique_ptr<AuditLog>(new AuditLog(std::move(logger), !file.empty()));
}

void AuditLog::Record(const AuditRecord& record, const absl::Status& outcome) const {
  if (to_file_) return logger_->info("{}", Line(record, outcome));
  const std::string code = absl::StatusCodeToString(outcome.code());
  std::vector<LogField> fields = {{"who", record.who}};
  if (!record.peer.empty()) fields.emplace_back("peer", record.peer);
  fields.emplace_back("action", record.action);
  for (const auto& [name, value] : record.details) fields.emplace_back(name, value);
  fields.emplace_back("outcome", code);
  if (!outcome.ok()) fields.emplace_back("error", outcome.message());
  LogTo(*logger_, spdlog::level::info, "audit", fields);  // Its RequestScope has the ids.
}

}  // namespace calserve
