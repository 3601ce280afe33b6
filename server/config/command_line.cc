#include "server/config/command_line.h"

#include <CLI/CLI.hpp>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/config/nearest_name.h"
#include "server/config/option_table.h"

namespace calserve {
namespace {

constexpr char kFooter[] = R"(
Each option is also a variable, --batching-max-queue-rows for one CALSERVE_BATCHING_MAX_QUEUE_ROWS, and a key of the
YAML file: batching: {max_queue_rows: 1024}. A flag beats a variable, a variable the file, the file the default.

Exit status: 0 done, 1 standard output cannot be written, 2 wrong usage or configuration, 3 a model cannot be loaded,
4 the address cannot be had, 5 the store cannot be opened, 6 a GPU does not answer any more.)";

// What --help shows as the type: "ROWS", "DURATION".
std::string TypeName(const Option& option) {
  switch (option.kind) {
    case OptionKind::kChoice:
    case OptionKind::kFlag:
      return option.Rule();
    case OptionKind::kBytes:
      return "SIZE";
    case OptionKind::kDuration:
      return "DURATION";
    case OptionKind::kText:
    case OptionKind::kList:
    case OptionKind::kCount:
      return absl::AsciiStrToUpper(option.unit);
  }
  return "";
}

absl::Status UnknownArgument(const std::string& argument, const CLI::App& app) {
  if (!absl::StartsWith(argument, "-")) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument ", argument, ": everything is set by flags; see --help"));
  }
  const std::pair<std::string, std::string> flag = absl::StrSplit(argument, absl::MaxSplits('=', 1));
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) known.push_back(option->get_name());
  return absl::InvalidArgumentError(absl::StrCat("unknown flag ", flag.first, DidYouMean(flag.first, known)));
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv) {
  CLI::App app("Serves image classifiers with calibrated probabilities over gRPC.", "calserve-server");
  app.option_defaults()->multi_option_policy(
      CLI::MultiOptionPolicy::TakeLast);  // given twice is refused below
  app.footer(kFooter);
  app.allow_extras();
  app.get_formatter()->column_width(60);

  CommandLine line;
  bool version = false;
  std::string config_file, check, new_token;
  CLI::Option* const config_option =
      app.add_option("--config", config_file, "YAML file with options")->type_name("FILE");
  CLI::Option* const check_option =
      app.add_option("--check", check,
                     "say everything that is wrong with a model directory, one version's folder in it, or a "
                     "repository: load every version, run its warm-up samples, then exit (0 or 3)")
          ->type_name("DIRECTORY");
  CLI::Option* const token_option =
      app.add_option("--new-token", new_token,
                     "print a new random token and its line for access.tokens_file, then exit: "
                     "grafana=read, app=predict,feedback")
          ->type_name("NAME=ROLE,...");
  app.add_option("--trial", line.trial)->group("");  // Not for people: see server/trial.h.
  app.add_flag("--validate-only", line.validate_only,
               "check the configuration and the repository's model.yaml files, then exit")
      ->disable_flag_override();
  app.add_flag("--print-config", line.print_config,
               "print the options in effect and where each was set, then exit")
      ->disable_flag_override();
  app.add_flag("--version", version, "print the version, then exit");

  const ServerConfig defaults;
  std::vector<std::pair<const Option*, CLI::Option*>> options;
  for (const Option& option : OptionTable()) {
    // --insecure alone is --insecure=true.
    CLI::Option* const added = option.kind == OptionKind::kFlag ? app.add_flag(option.flags(), option.help)
                                                                : app.add_option(option.flags(), option.help);
    added->type_name(TypeName(option))
        ->default_str(option.Get(defaults))
        ->group(option.section().empty() ? "server" : option.section());
    options.emplace_back(&option, added);
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    line.text = app.help();
    return line;
  } catch (const CLI::ParseError& e) {
    return absl::InvalidArgumentError(absl::StrCat(e.what(), "; see --help"));
  }
  if (!app.remaining().empty()) return UnknownArgument(app.remaining().front(), app);
  for (const CLI::Option* const option : app.get_options()) {
    if (option->count() <= 1) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(option->get_name(), " must be given once; is there ", option->count(), " times"));
  }
  if (version) line.text = "calserve-server " CALSERVE_VERSION "\n";
  if (config_option->count() > 0) line.config_file = config_file;
  if (check_option->count() > 0) line.check = check;
  if (token_option->count() > 0) line.new_token = new_token;
  for (const auto& [option, parsed] : options) {
    if (parsed->count() > 0) line.values[option->name] = parsed->results().back();
  }
  return line;
}

}  // namespace calserve
