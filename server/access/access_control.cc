#include "server/access/access_control.h"

#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/access/jwt_verifier.h"
#include "server/access/small_file.h"
#include "server/access/token_file.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/logging/log.h"

namespace calserve {
namespace {

constexpr absl::Duration kLeeway = absl::Seconds(30);
// JWTs whose signature was verified: a client sends the same one with every call.
constexpr size_t kMaxVerified = 4096;
constexpr absl::string_view kBearer = "bearer ";

using ClientNames = std::map<std::string, Roles, std::less<>>;

absl::StatusOr<ClientNames> ParseClientNames(const std::vector<std::string>& entries) {
  ClientNames names;
  for (const std::string& entry : entries) {
    const size_t equals = entry.rfind('=');  // A distinguished name has some of its own.
    const absl::StatusOr<Roles> roles =
        equals == std::string::npos || equals == 0
            ? absl::InvalidArgumentError("it must be NAME=ROLE or NAME=ROLE+ROLE")
            : ParseRoles(absl::string_view(entry).substr(equals + 1), '+');
    if (!roles.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("tls.client_names: \"", entry, "\": ", roles.status().message()));
    }
    names[entry.substr(0, equals)] = *roles;
  }
  return names;
}

absl::Status NoCredentials() {
  return WithReason(
      absl::UnauthenticatedError("this server asks who calls: send authorization: Bearer TOKEN (calserve: "
                                 "--token-file), or a client certificate that it knows"),
      "NO_CREDENTIALS");
}

absl::Status NotValid() {
  return WithReason(absl::UnauthenticatedError("the bearer token is not valid"), "TOKEN_INVALID");
}

std::string CertificateIdentity(const Credentials& credentials) {
  if (credentials.certificate_names.empty()) return Identity().name;
  return absl::StrCat("cert:", credentials.certificate_names.front());
}

// One file of credentials that is read again when it has changed.
class WatchedFile final {
 public:
  using Use = std::function<absl::Status(absl::string_view content)>;

  // `use` takes the content or says what is wrong with it.
  WatchedFile(std::string option, std::string path, FileSecrecy secrecy, Use use)
      : option_(std::move(option)), path_(std::move(path)), secrecy_(secrecy), use_(std::move(use)) {}

  // Whether it had changed. What cannot be used is said once, until it changes again.
  absl::StatusOr<bool> Read() {
    absl::StatusOr<std::string> content = ReadSmallFile(option_, path_, secrecy_);
    if (!content.ok()) return Once(content.status());
    if (content_ == *content) return false;
    content_ = *std::move(content);
    if (const absl::Status used = use_(*content_); !used.ok()) {
      return Once(absl::InvalidArgumentError(absl::StrCat(option_, ": ", path_, ": ", used.message())));
    }
    said_.clear();
    return true;
  }

 private:
  absl::StatusOr<bool> Once(const absl::Status& status) {
    if (said_ == status.message()) return false;
    said_ = std::string(status.message());
    return status;
  }

  const std::string option_, path_;
  const FileSecrecy secrecy_;
  const Use use_;
  std::optional<std::string> content_;
  std::string said_;
};

}  // namespace

struct AccessControl::Sources {
  std::vector<WatchedFile> files;  // used by one thread
  ClientNames client_names;        // constant after construction

  mutable Mutex mu;
  std::shared_ptr<const TokenFile> tokens ABSL_GUARDED_BY(mu);
  std::shared_ptr<const JwtVerifier> jwt ABSL_GUARDED_BY(mu);
  // By the token's digest: whoever does not have the token cannot make another one for it.
  mutable std::map<TokenDigest, JwtClaims> verified ABSL_GUARDED_BY(mu);

  absl::Status UseTokens(absl::string_view content) {
    ASSIGN_OR_RETURN(TokenFile parsed, TokenFile::Parse(content));
    MutexLock lock(&mu);
    tokens = std::make_shared<const TokenFile>(std::move(parsed));
    return absl::OkStatus();
  }

  absl::Status UseJwks(absl::string_view content, const JwtOptions& options) {
    ASSIGN_OR_RETURN(std::unique_ptr<JwtVerifier> parsed, JwtVerifier::Create(content, options));
    MutexLock lock(&mu);
    jwt = std::move(parsed);
    verified.clear();  // A key that is gone takes its tokens with it.
    return absl::OkStatus();
  }

  absl::StatusOr<Identity> IdentifyToken(absl::string_view token, absl::Time now) const {
    if (token.empty() || token.size() > JwtVerifier::kMaxToken) return NotValid();
    const TokenDigest digest = DigestOf(token);
    std::shared_ptr<const JwtVerifier> verifier;
    {
      MutexLock lock(&mu);
      if (tokens != nullptr) {
        const TokenFile::Entry* const found = tokens->Find(digest);
        if (found != nullptr) return Identity{absl::StrCat("token:", found->name), found->roles};
      }
      if (jwt == nullptr) return NotValid();
      if (const auto known = verified.find(digest); known != verified.end()) {
        return IdentityOf(known->second, now);
      }
      verifier = jwt;
    }
    ASSIGN_OR_RETURN(JwtClaims claims, verifier->Verify(token, now));
    MutexLock lock(&mu);
    if (verifier == jwt) {
      if (verified.size() >= kMaxVerified) verified.clear();
      verified.emplace(digest, claims);
    }
    return IdentityOf(claims, now);
  }

  static absl::StatusOr<Identity> IdentityOf(const JwtClaims& claims, absl::Time now) {
    RETURN_IF_ERROR(claims.CheckTime(now, kLeeway));
    return Identity{absl::StrCat("jwt:", claims.subject), claims.roles};
  }
};

AccessControl::AccessControl(const AccessOptions& options, const Clock& clock,
                             MonotonicClock& monotonic_clock)
    : options_(options),
      enabled_(options.configured()),
      clock_(clock),
      sources_(std::make_unique<Sources>()),
      limits_(options.limits, monotonic_clock) {}

AccessControl::~AccessControl() = default;

absl::StatusOr<std::unique_ptr<AccessControl>> AccessControl::Create(const AccessOptions& options,
                                                                     const Clock& clock,
                                                                     MonotonicClock& monotonic_clock) {
  std::unique_ptr<AccessControl> access(new AccessControl(options, clock, monotonic_clock));
  Sources& sources = *access->sources_;
  ASSIGN_OR_RETURN(sources.client_names, ParseClientNames(options.client_names));
  if (!options.tokens_file.empty()) {
    sources.files.emplace_back("access.tokens_file", options.tokens_file, FileSecrecy::kSecret,
                               [&sources](absl::string_view content) { return sources.UseTokens(content); });
  }
  if (!options.jwks_file.empty()) {
    if (options.jwt_issuer.empty() || options.jwt_audience.empty()) {
      return absl::InvalidArgumentError(
          "access.jwks_file needs access.jwt_issuer and access.jwt_audience: a key alone does not say for "
          "whom it signed");
    }
    const JwtOptions jwt{options.jwt_issuer, options.jwt_audience, options.jwt_roles_claim, kLeeway};
    sources.files.emplace_back(
        "access.jwks_file", options.jwks_file, FileSecrecy::kPublic,
        [&sources, jwt](absl::string_view content) { return sources.UseJwks(content, jwt); });
  }
  for (WatchedFile& file : sources.files) RETURN_IF_ERROR(file.Read().status());
  return access;
}

void AccessControl::Reload() {
  for (WatchedFile& file : sources_->files) {
    const absl::StatusOr<bool> changed = file.Read();
    if (!changed.ok()) {
      LogError("credentials not read again, those from before are in force",
               {{"error", changed.status().message()}});
    } else if (*changed) {
      LogInfo("credentials read again",
              {{"tokens_file", options_.tokens_file}, {"jwks_file", options_.jwks_file}});
    }
  }
}

absl::StatusOr<Identity> AccessControl::Identify(const Credentials& credentials) const {
  if (!enabled_) return Identity{CertificateIdentity(credentials), Roles::All()};
  const absl::string_view header = credentials.authorization;
  if (!header.empty()) {
    if (!absl::StartsWithIgnoreCase(header, kBearer)) return NotValid();
    return sources_->IdentifyToken(absl::StripAsciiWhitespace(header.substr(kBearer.size())), clock_.Now());
  }
  for (const std::string& name : credentials.certificate_names) {
    const auto found = sources_->client_names.find(name);
    if (found != sources_->client_names.end()) return Identity{absl::StrCat("cert:", name), found->second};
  }
  return NoCredentials();
}

absl::Status AccessControl::CheckRoles(const Identity& identity, Roles any_of) {
  if (identity.roles.Intersects(any_of)) return absl::OkStatus();
  return WithReason(
      absl::PermissionDeniedError(absl::StrCat("this needs one of the roles ", any_of.ToString(),
                                               "; the caller has ", identity.roles.ToString())),
      "ROLE_MISSING");
}

absl::StatusOr<Identity> AccessControl::Authorize(const Credentials& credentials, Roles any_of) const {
  ASSIGN_OR_RETURN(Identity identity, Identify(credentials));
  RETURN_IF_ERROR(CheckRoles(identity, any_of));
  return identity;
}

}  // namespace calserve
