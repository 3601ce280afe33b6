#include "server/config/load_config.h"

#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/access/token_file.h"
#include "server/base/status_macros.h"
#include "server/config/command_line.h"
#include "server/config/exit_codes.h"
#include "server/config/model_config.h"
#include "server/config/option_table.h"
#include "server/config/print_config.h"
#include "server/config/settings.h"
#include "server/feedback/retention.h"
#include "server/monitoring/calibration_monitor.h"
#include "text/loopback.h"

namespace calserve {
namespace {

// Applies settings one after the other, so that the last wins, and remembers where each option's value is
// from.
absl::Status Apply(const std::vector<Setting>& settings, ServerConfig* config, Origins* origins) {
  for (const Setting& setting : settings) {
    if (const absl::Status status = setting.option->Set(setting.text, config); !status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(setting.origin, ": ", setting.option->name, " ", status.message()));
    }
    (*origins)[setting.option->name] = setting.origin;
  }
  return absl::OkStatus();
}

absl::Status CheckListen(absl::string_view option, const std::string& listen) {
  const size_t colon = listen.rfind(':');
  int port = -1;
  if (colon == std::string::npos || colon == 0 || !absl::SimpleAtoi(listen.substr(colon + 1), &port) ||
      port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat(option, " must be HOST:PORT, the port from 0 to 65535; was \"", listen, "\""));
  }
  return absl::OkStatus();
}

absl::Status AtLeast(absl::string_view name, int64_t value, absl::string_view least_name, int64_t least) {
  if (value >= least) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be at least ", least_name, ", ", least, "; was ", value));
}

// Nobody is served in plain text beyond this machine unless somebody has said so.
absl::Status CheckPlainText(absl::string_view option, const std::string& listen, const ServerConfig& config) {
  if (config.insecure || IsLoopback(listen)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      option, " ", listen,
      " can be reached from other machines and is plain text: set tls.certificate_file and tls.key_file, "
      "listen on 127.0.0.1, or say --insecure"));
}

// As browsers send it in Host, without a port.
absl::Status CheckHostName(const std::string& host) {
  constexpr size_t kLongest = 253;
  const bool plain = std::all_of(host.begin(), host.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  });
  if (plain && !host.empty() && host.size() <= kLongest && host.front() != '.' && host.back() != '.') {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("admin.allowed_hosts: each must be a host name alone, such as calserve.example, without a "
                   "scheme, a port or "
                   "a wildcard; was \"",
                   absl::CHexEscape(host), "\""));
}

absl::Status CheckSecurity(const ServerConfig& config) {
  const TlsOptions& tls = config.tls;
  if (tls.certificate_file.empty() != tls.key_file.empty()) {
    return absl::InvalidArgumentError("tls.certificate_file and tls.key_file go together; only one is set");
  }
  if (!tls.enabled() && !(tls.client_ca_file.empty() && config.access.client_names.empty())) {
    return absl::InvalidArgumentError(
        "tls.client_ca_file and tls.client_names are for TLS: set tls.certificate_file and tls.key_file");
  }
  if (!config.access.client_names.empty() && tls.client_ca_file.empty()) {
    return absl::InvalidArgumentError(
        "tls.client_names needs tls.client_ca_file: who else would vouch for the names");
  }
  RETURN_IF_ERROR(CheckAccessOptions(config.access));
  for (const std::string& host : config.admin.dashboard.allowed_hosts) RETURN_IF_ERROR(CheckHostName(host));
  if (!tls.enabled()) RETURN_IF_ERROR(CheckPlainText("listen", config.grpc.listen, config));
  if (config.admin.enabled() && !config.AdminTls()) {
    RETURN_IF_ERROR(CheckPlainText("admin_listen", config.admin.listen, config));
  }
  return absl::OkStatus();
}

EarlyExit PrintNewToken(const std::string& spec) {
  const absl::StatusOr<NewToken> made = MakeToken(spec);
  if (!made.ok()) return {kExitConfig, absl::StrCat("--new-token: ", made.status().message(), "\n")};
  return {kExitOk, absl::StrCat("# The token, for the client alone; it is kept nowhere:\n", made->token,
                                "\n# Its line in the file of access.tokens_file:\n", made->line, "\n")};
}

// What holds between options, or needs a room's own rule.
absl::Status CheckTogether(const ServerConfig& config) {
  if (config.model_repository.empty() && config.check.empty()) {
    return absl::InvalidArgumentError(
        "model_repository is not set: give --model-repository DIRECTORY, CALSERVE_MODEL_REPOSITORY, or "
        "model_repository in the file of --config");
  }
  if (!config.repository.load.empty() && config.repository.control != "explicit") {
    return absl::InvalidArgumentError(absl::StrCat(
        "repository.load is for repository.control: explicit; it is ", config.repository.control));
  }
  RETURN_IF_ERROR(CheckListen("listen", config.grpc.listen));
  if (config.admin.enabled()) RETURN_IF_ERROR(CheckListen("admin_listen", config.admin.listen));
  RETURN_IF_ERROR(CheckSecurity(config));
  RETURN_IF_ERROR(CheckRetention(config.retention, config.tickets.feedback_ttl));
  RETURN_IF_ERROR(CheckMonitoringOptions(config.monitoring));
  RETURN_IF_ERROR(AtLeast("grpc.max_received_bytes", config.grpc.max_received_bytes, "grpc.max_message_bytes",
                          config.grpc.max_message_bytes));
  RETURN_IF_ERROR(AtLeast("batching.max_queue_rows", config.batching.max_queue_rows,
                          "batching.max_batch_size", config.batching.max_batch_size));
  return AtLeast("feedback.max_queued_labels", config.feedback.max_queued_labels,
                 "feedback.max_commit_labels", config.feedback.max_commit_labels);
}

// --validate-only: everything that can be said without loading a model.
EarlyExit Validate(const ServerConfig& config) {
  const auto models = ScanModelRepository(config.model_repository, config.batching);
  if (!models.ok()) return {kExitModel, absl::StrCat(models.status().message(), "\n")};
  std::string text = "valid";
  for (const auto& [name, model] : *models) {
    absl::StrAppend(&text, "\n  ", name, ": ", model.labels.size(), " labels, versions");
    for (const ModelConfig::Version& version : model.versions) absl::StrAppend(&text, " ", version.version);
  }
  return {kExitOk, absl::StrCat(text, "\n")};
}

}  // namespace

Environment ProcessEnvironment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::pair<std::string, std::string> variable = absl::StrSplit(*entry, absl::MaxSplits('=', 1));
    environment.insert(std::move(variable));
  }
  return environment;
}

absl::StatusOr<std::variant<ServerConfig, EarlyExit>> LoadConfig(int argc, const char* const* argv,
                                                                 const Environment& environment) {
  ASSIGN_OR_RETURN(const CommandLine line, ParseCommandLine(argc, argv));
  if (line.text) return EarlyExit{kExitOk, *line.text};
  if (line.new_token) return PrintNewToken(*line.new_token);

  ServerConfig config;
  config.arguments.assign(argv, argv + argc);
  config.trial = line.trial;
  if (line.trial != 0 && !line.check) {
    return absl::InvalidArgumentError("--trial is what a server calls itself with, beside --check");
  }
  if (line.check) {
    if (line.check->empty()) return absl::InvalidArgumentError("--check needs a DIRECTORY; it was empty");
    config.check = *line.check;
  }
  Origins origins;
  std::string file = line.config_file.value_or("");
  if (const auto variable = environment.find("CALSERVE_CONFIG");
      !line.config_file && variable != environment.end()) {
    file = variable->second;
  }
  if (!file.empty()) {
    ASSIGN_OR_RETURN(const std::vector<Setting> of_file, SettingsOfFile(file));
    RETURN_IF_ERROR(Apply(of_file, &config, &origins));
  }
  ASSIGN_OR_RETURN(const std::vector<Setting> of_environment, SettingsOfEnvironment(environment));
  RETURN_IF_ERROR(Apply(of_environment, &config, &origins));
  RETURN_IF_ERROR(Apply(SettingsOfCommandLine(line), &config, &origins));
  if (origins.count("batching.max_queue_rows") == 0) {
    config.batching.max_queue_rows = std::max(config.batching.max_queue_rows, config.batching.max_batch_size);
  }
  RETURN_IF_ERROR(CheckTogether(config));

  if (line.print_config) return EarlyExit{kExitOk, ConfigAsYaml(config, origins)};
  if (line.validate_only) return Validate(config);
  return config;
}

}  // namespace calserve
