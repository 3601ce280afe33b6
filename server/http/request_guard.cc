#include "server/http/request_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace calserve {
namespace {

// "[::1]:8501" -> "::1", "a.b:1" -> "a.b".
std::string WithoutPort(absl::string_view host) {
  if (absl::ConsumePrefix(&host, "[")) return std::string(host.substr(0, host.find(']')));
  return std::string(host.substr(0, host.find(':')));
}

bool IsAddress(const std::string& host) {
  in6_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

bool IsKnownHost(const std::string& name, const std::vector<std::string>& allowed_hosts) {
  return name == "localhost" || IsAddress(name) ||
         std::any_of(allowed_hosts.begin(), allowed_hosts.end(),
                     [&](const std::string& known) { return absl::EqualsIgnoreCase(known, name); });
}

absl::Status UnknownHost(absl::string_view host) {
  return absl::PermissionDeniedError(absl::StrCat(
      "this port answers to an IP address, to localhost and to the names in admin.allowed_hosts; "
      "the request's Host is \"",
      host, "\""));
}

absl::Status CheckOrigin(absl::string_view host, absl::string_view origin) {
  if (origin.empty()) return absl::OkStatus();
  absl::string_view from = origin;
  const bool web = absl::ConsumePrefix(&from, "http://") || absl::ConsumePrefix(&from, "https://");
  if (web && absl::EqualsIgnoreCase(from, host)) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("only the server's own page may call it; the request's Origin is \"", origin, "\""));
}

}  // namespace

absl::Status CheckSameSite(absl::string_view host, absl::string_view origin,
                           const std::vector<std::string>& allowed_hosts) {
  if (!IsKnownHost(absl::AsciiStrToLower(WithoutPort(host)), allowed_hosts)) return UnknownHost(host);
  return CheckOrigin(host, origin);
}

absl::Status CheckScrape(absl::string_view host, absl::string_view origin,
                         const std::vector<std::string>& allowed_hosts) {
  const std::string name = absl::AsciiStrToLower(WithoutPort(host));
  if (absl::StrContains(name, '.') && !IsKnownHost(name, allowed_hosts)) return UnknownHost(host);
  return CheckOrigin(host, origin);
}

}  // namespace calserve
