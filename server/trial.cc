#include "server/trial.h"

#include <signal.h>
#include <sys/prctl.h>

#include <cstring>
#include <fstream>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/run_program.h"
#include "server/config/exit_codes.h"
#include "server/logging/log.h"
#include "text/characters.h"

namespace calserve {
namespace {

// The last line, without what a message must not hold.
std::string LastLine(absl::string_view text) {
  constexpr size_t kMost = 300;
  text = absl::StripAsciiWhitespace(text);
  text = text.substr(text.rfind('\n') + 1);  // npos + 1: from the beginning.
  std::string line;
  while (!text.empty() && line.size() < kMost) {
    const Character character = FirstCharacter(text);
    const bool shown = character.valid && !IsControl(character.point);
    absl::StrAppend(&line, shown ? text.substr(0, character.bytes) : "?");
    text.remove_prefix(character.bytes);
  }
  return line;
}

absl::Status Fault(absl::string_view how, const ProgramEnd& end) {
  const std::string last = LastLine(end.last_words);
  return absl::InternalError(absl::StrCat("its trial, a process of its own that loads it first, ", how,
                                          last.empty() ? "" : "; its last words: ", last));
}

absl::Status NoTrial(const std::string& folder, absl::string_view why) {
  LogWarning("loaded without a trial", {{"version", folder}, {"why", why}});
  return absl::OkStatus();
}

}  // namespace

absl::Status TryVersion(const ServerConfig& config, const std::string& version_folder,
                        const std::stop_token& stop) {
  std::vector<std::string> arguments = config.arguments;
  arguments.insert(arguments.end(), {"--trial", "--check", version_folder});
  const absl::StatusOr<ProgramEnd> end =
      RunProgram("/proc/self/exe", arguments, config.repository.trial_timeout, stop);
  if (!end.ok()) return NoTrial(version_folder, end.status().message());
  switch (end->how) {
    case ProgramEnd::How::kStopped:
      return absl::UnavailableError("the server is shutting down");
    case ProgramEnd::How::kTimedOut:
      return Fault(absl::StrCat("had not ended after ", absl::FormatDuration(config.repository.trial_timeout),
                                " (repository.trial_timeout)"),
                   *end);
    case ProgramEnd::How::kKilled:
      return Fault(absl::StrCat("was ended by signal ", end->code, " (", strsignal(end->code), ")",
                                end->code == SIGKILL ? ": was there memory for it?" : ""),
                   *end);
    case ProgramEnd::How::kExited:
      break;
  }
  if (end->code == kExitOk || end->code == kExitModel) return absl::OkStatus();
  // The options are not what this process was started with: the file of --config has changed.
  if (end->code == kExitConfig) return NoTrial(version_folder, LastLine(end->last_words));
  return Fault(absl::StrCat("was ended with exit status ", end->code), *end);
}

void BecomeTrial() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::ofstream("/proc/self/oom_score_adj") << "1000\n";
}

}  // namespace calserve
