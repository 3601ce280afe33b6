#include "server/trial.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/run_program.h"
#include "server/check_models.h"
#include "server/config/exit_codes.h"
#include "server/logging/log.h"
#include "server/model/unpacking_folder.h"
#include "text/characters.h"

namespace calserve {
namespace {

// What the process of a trial says on standard output.
constexpr char kBegun[] = "trial begun";
constexpr char kEnded[] = "trial ended";

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

std::string SignalText(int signal) {
  const char* const description = sigdescr_np(signal);
  return absl::StrCat("signal ", signal, description == nullptr ? "" : absl::StrCat(" (", description, ")"));
}

}  // namespace

absl::Status TryVersion(const ServerConfig& config, const ModelConfig& model, int64_t version,
                        const std::function<absl::Status()>& still_wanted) {
  const auto no_trial = [&](absl::string_view reason) {
    LogWarning("loaded without a trial", {{"model", model.name}, {"version", version}, {"reason", reason}});
    return absl::OkStatus();
  };
  std::vector<std::string> arguments = config.arguments;
  arguments.insert(arguments.begin() + 1, {"--trial", absl::StrCat(getpid()), "--check",
                                           absl::StrCat(model.directory, "/", version)});
  (void)MakeUnpackingFolderAgain();  // Where it unpacks; where that fails, so will the load.
  absl::Status wanted;
  const absl::StatusOr<ProgramEnd> end =
      RunProgram("/proc/self/exe", arguments, config.repository.trial_timeout, [&] {
        wanted = still_wanted();
        return !wanted.ok();
      });
  if (!end.ok()) return no_trial(end.status().message());
  if (absl::StrContains(end->output, kEnded)) return absl::OkStatus();
  RemoveUnpackedOfTheGone();
  const bool begun = absl::StrContains(end->output, kBegun);
  switch (end->how) {
    case ProgramEnd::How::kStopped:
      return wanted;
    case ProgramEnd::How::kTimedOut:
      return Fault(absl::StrCat("had not ended after ", absl::FormatDuration(config.repository.trial_timeout),
                                " (repository.trial_timeout)"),
                   *end);
    case ProgramEnd::How::kKilled:
      return Fault(absl::StrCat("was ended by ", SignalText(end->code),
                                end->code == SIGKILL ? ": was there memory for it?" : ""),
                   *end);
    case ProgramEnd::How::kExited:
      if (begun && end->code == kExitDevice) return Fault("lost the device", *end);
      if (begun) return Fault(absl::StrCat("was ended, with exit status ", end->code), *end);
      // By other options, where the file of --config has changed, or another library.
      return no_trial(absl::StrCat("exit status ", end->code, ": ", LastLine(end->last_words)));
  }
  return absl::OkStatus();
}

int RunTrial(const ServerConfig& config) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != config.trial) return kExitModel;  // Who waited for it is gone already.
  const rlimit none = {};
  setrlimit(RLIMIT_CORE, &none);  // One that crashes is for --check by hand.
  (void)SetLogLevel("warn");      // Its last words are the model's, not what it says of itself.
  std::cout << kBegun << std::endl;
  std::ostream nowhere(nullptr);
  const int code = CheckModels(config, nowhere, std::cerr);
  // On a GPU what would be a crash is an error, and yet the end of its process, which would be the server's.
  if (code != kExitDevice) std::cout << kEnded << std::endl;
  return code;
}

}  // namespace calserve
