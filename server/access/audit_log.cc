#include "server/access/audit_log.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/access/audit_file.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/base/token_bucket.h"
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

// The caller may not, or not now: such calls cost a caller nothing, so that their lines must be bounded.
bool IsRefusal(const absl::Status& outcome) {
  return absl::IsUnauthenticated(outcome) || absl::IsPermissionDenied(outcome) ||
         absl::IsResourceExhausted(outcome);
}

// Lines of callers that were refused: one a second, after the first so many.
constexpr double kFirstRefused = 100, kRefusedASecond = 1;

}  // namespace

class AuditLog::Sink {
 public:
  Sink(std::unique_ptr<AuditFile> file, MonotonicClock& clock)
      : clock_(clock), file_(std::move(file)), of_refused_(kFirstRefused, kRefusedASecond, clock.Now()) {
    if (file_ != nullptr) return;
    const auto& sinks = spdlog::default_logger()->sinks();
    logger_ = std::make_unique<spdlog::logger>("audit", sinks.begin(), sinks.end());
    logger_->set_level(spdlog::level::info);
    logger_->flush_on(spdlog::level::info);
  }

  absl::Status CheckWritable() {
    MutexLock lock(&mu_);
    if (file_ == nullptr) return absl::OkStatus();
    return missing_ > 0 ? SayWhatIsMissing() : file_->Follow();
  }

  void Write(AuditRecord record, const absl::Status& outcome) {
    MutexLock lock(&mu_);
    if (IsRefusal(outcome)) {
      if (!of_refused_.Take(clock_.Now())) {
        ++skipped_;
        return;
      }
      if (skipped_ > 0) record.details.emplace_back("skipped", absl::StrCat(skipped_));
      skipped_ = 0;
    }
    if (file_ == nullptr) return WriteToLog(*logger_, spdlog::level::info, "audit", {}, record, outcome);
    const std::string line = Line(record, outcome);
    absl::Status written = missing_ > 0 ? SayWhatIsMissing() : absl::OkStatus();
    if (written.ok()) written = file_->Append(line);
    if (written.ok()) return;
    ++failures_;
    ++missing_;
    WriteToLog(*spdlog::default_logger(), spdlog::level::err, "not audited", written.message(), record,
               outcome);
  }

  int64_t failures() const {
    MutexLock lock(&mu_);
    return failures_;
  }

 private:
  // As fields of a line like any other; its RequestScope has the ids. Not the sentence of `outcome`, which
  // may quote a label or an attribute. `error`: why it is not in the file; empty where it need not be.
  static void WriteToLog(spdlog::logger& logger, spdlog::level::level_enum level, absl::string_view message,
                         absl::string_view error, const AuditRecord& record, const absl::Status& outcome) {
    const std::string code = absl::StatusCodeToString(outcome.code()), reason = ErrorReason(outcome),
                      field = ErrorField(outcome);
    std::vector<LogField> fields;
    if (!error.empty()) fields.emplace_back("error", error);
    fields.emplace_back("who", record.who);
    if (!record.peer.empty()) fields.emplace_back("peer", record.peer);
    fields.emplace_back("action", record.action);
    for (const auto& [name, value] : record.details) fields.emplace_back(name, value);
    fields.emplace_back("outcome", code);
    if (!reason.empty()) fields.emplace_back("reason", reason);
    if (!field.empty()) fields.emplace_back("field", field);
    LogTo(logger, level, message, fields);
  }

  absl::Status SayWhatIsMissing() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    RETURN_IF_ERROR(file_->Append(
        Line({"server", "", "audit", {{"lines_missing", absl::StrCat(missing_)}}}, absl::OkStatus())));
    LogWarning("audited again: the lines that are missing in the file are in this log",
               {{"file", file_->path()}, {"lines_missing", missing_}});
    missing_ = 0;
    return absl::OkStatus();
  }

  MonotonicClock& clock_;
  std::unique_ptr<spdlog::logger> logger_;  // where there is no file
  mutable Mutex mu_;
  const std::unique_ptr<AuditFile> file_ ABSL_PT_GUARDED_BY(mu_);
  TokenBucket of_refused_ ABSL_GUARDED_BY(mu_);
  int64_t skipped_ ABSL_GUARDED_BY(mu_) = 0;   // since the last line of a refused one
  int64_t failures_ ABSL_GUARDED_BY(mu_) = 0;  // since the start
  int64_t missing_ ABSL_GUARDED_BY(mu_) = 0;   // since the file was last written
};

AuditLog::AuditLog(std::unique_ptr<Sink> sink) : sink_(std::move(sink)) {}

AuditLog::~AuditLog() = default;

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const std::string& file, MonotonicClock& clock) {
  std::unique_ptr<AuditFile> opened;
  if (!file.empty()) {
    ASSIGN_OR_RETURN(opened, AuditFile::Open(file));
  }
  return std::unique_ptr<AuditLog>(new AuditLog(std::make_unique<Sink>(std::move(opened), clock)));
}

absl::Status AuditLog::CheckWritable() const {
  const absl::Status status = sink_->CheckWritable();
  if (status.ok()) return status;
  return WithReason(
      absl::UnavailableError(absl::StrCat("not done, because it could not be audited: ", status.message())),
      "AUDIT_UNAVAILABLE");
}

void AuditLog::Record(const AuditRecord& record, const absl::Status& outcome) const {
  sink_->Write(record, outcome);
}

int64_t AuditLog::failures() const { return sink_->failures(); }

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

}  // namespace calserve
