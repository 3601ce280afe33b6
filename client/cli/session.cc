#include "client/cli/session.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/option_rules.h"
#include "client/cli/printable.h"
#include "client/errors.h"

namespace calserve::cli {
namespace {

constexpr char kUsageMark[] = "calserve/usage";

std::atomic<int> output_errno = 0;  // of the first print that failed

// "--server: " of a message about ClientOptions::target: messages begin with the field's name.
std::string GivenBy(absl::string_view message) {
  constexpr std::pair<absl::string_view, absl::string_view> kGivenBy[] = {
      {"target", "--server"},
      {"timeout", "--timeout"},
      {"token", "CALSERVE_TOKEN"},
  };
  for (const auto& [field, name] : kGivenBy) {
    if (absl::StartsWith(message, absl::StrCat(field, " "))) return absl::StrCat(name, ": ");
  }
  return "";
}

}  // namespace

absl::StatusOr<Client> Session::Connect() const {
  client::ClientOptions options = security;
  options.tls = options.tls || !options.ca_file.empty() || !options.certificate_file.empty();
  if (!IsUtf8(server)) {
    return UsageError(absl::StrCat("--server must be valid UTF-8; was \"", absl::CHexEscape(server), "\""));
  }
  options.target = server;
  if (!absl::ParseDuration(timeout, &options.timeout)) {
    return UsageError(absl::StrCat("--timeout must be a duration such as 30s or 500ms; was ", timeout));
  }
  absl::StatusOr<Client> client = Client::Connect(options);
  if (absl::IsFailedPrecondition(client.status())) return client;  // A file says no.
  if (!client.ok())
    return UsageError(absl::StrCat(GivenBy(client.status().message()), client.status().message()));
  return client;
}

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return kDone;
  if (status.GetPayload(kUsageMark).has_value()) return kUsage;
  return client::IsUnreachable(status) ? kUnreachable : kRefused;
}

absl::Status UsageError(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsageMark, absl::Cord("1"));
  return status;
}

void Print(absl::string_view text) {
  errno = 0;
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (std::fflush(stdout) == 0 && written) return;
  int none = 0;
  output_errno.compare_exchange_strong(none, errno != 0 ? errno : EIO);
}

absl::Status OutputStatus() {
  if (output_errno == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(output_errno, "cannot write to standard output");
}

void PrintJson(const nlohmann::ordered_json& document) {
  // JSON lets DEL, C1 and bidirectional controls stand in a string as they are; a terminal obeys them.
  const std::string text = document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  Print(absl::StrCat(Printable(text), "\n"));
}

absl::StatusOr<int32_t> ClassIndex(const client::ModelInfo& model, const std::string& label) {
  const auto named = std::find(model.labels.begin(), model.labels.end(), label);
  if (named != model.labels.end()) return static_cast<int32_t>(named - model.labels.begin());
  int32_t index;
  if (absl::SimpleAtoi(label, &index) && index >= 0 && index < static_cast<int32_t>(model.labels.size())) {
    return index;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", label, "' is not a class of ", model.name, "; it has ",
                   absl::StrJoin(model.labels.begin(),
                                 model.labels.begin() + std::min<size_t>(model.labels.size(), 20), ", "),
                   model.labels.size() > 20 ? absl::StrCat(", ... (", model.labels.size(), ")") : ""));
}

}  // namespace calserve::cli
