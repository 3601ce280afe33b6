#include "server/access/token_file.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

constexpr size_t kMaxName = 64, kMaxEntries = 10'000;
constexpr absl::string_view kPrefix = "sha256:";

static_assert(sizeof(TokenDigest) == crypto_hash_sha256_BYTES);

absl::Status CheckName(absl::string_view name) {
  const auto allowed = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("._@-", c);
  };
  if (!name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), allowed)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("a token's name must be 1 to ", kMaxName,
                                                 " of letters, digits and ._@-; was \"",
                                                 absl::CHexEscape(name.substr(0, kMaxName + 1)), "\""));
}

absl::StatusOr<TokenDigest> ParseDigest(absl::string_view text) {
  TokenDigest digest;
  if (!absl::ConsumePrefix(&text, kPrefix) || text.size() != 2 * digest.size() ||
      !std::all_of(text.begin(), text.end(), absl::ascii_isxdigit)) {
    return absl::InvalidArgumentError("the third field must be sha256: and 64 hex digits");
  }
  const std::string bytes = absl::HexStringToBytes(text);
  std::memcpy(digest.data(), bytes.data(), digest.size());
  return digest;
}

absl::StatusOr<TokenFile::Entry> ParseLine(absl::string_view line) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (fields.size() != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("want NAME ROLE,ROLE sha256:HEX; found ", fields.size(), " fields"));
  }
  TokenFile::Entry entry;
  RETURN_IF_ERROR(CheckName(fields[0]));
  entry.name = std::string(fields[0]);
  ASSIGN_OR_RETURN(entry.roles, ParseRoles(fields[1], ','));
  ASSIGN_OR_RETURN(entry.digest, ParseDigest(fields[2]));
  return entry;
}

uint64_t KeyedHash(const TokenDigest& digest, const std::array<uint8_t, 16>& key) {
  static_assert(sizeof(uint64_t) == crypto_shorthash_BYTES && crypto_shorthash_KEYBYTES == 16);
  uint64_t hash = 0;
  crypto_shorthash(reinterpret_cast<uint8_t*>(&hash), digest.data(), digest.size(), key.data());
  return hash;
}

}  // namespace

TokenDigest DigestOf(absl::string_view token) {
  TokenDigest digest;
  crypto_hash_sha256(digest.data(), reinterpret_cast<const uint8_t*>(token.data()), token.size());
  return digest;
}

absl::StatusOr<TokenFile> TokenFile::Parse(absl::string_view text) {
  if (sodium_init() < 0) return absl::InternalError("libsodium cannot start");
  TokenFile file;
  randombytes_buf(file.hash_key_.data(), file.hash_key_.size());
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    absl::StatusOr<Entry> entry = ParseLine(line);
    if (!entry.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", entry.status().message()));
    }
    if (file.Find(entry->digest) != nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": the token is there already"));
    }
    if (file.size() == kMaxEntries) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": more than ", kMaxEntries, " tokens"));
    }
    const uint64_t hash = KeyedHash(entry->digest, file.hash_key_);
    file.entries_.emplace(hash, *std::move(entry));
  }
  return file;
}

const TokenFile::Entry* TokenFile::Find(const TokenDigest& digest) const {
  const auto [begin, end] = entries_.equal_range(KeyedHash(digest, hash_key_));
  for (auto found = begin; found != end; ++found) {
    if (sodium_memcmp(found->second.digest.data(), digest.data(), digest.size()) == 0) return &found->second;
  }
  return nullptr;
}

absl::StatusOr<NewToken> MakeToken(absl::string_view spec) {
  if (sodium_init() < 0) return absl::InternalError("libsodium cannot start");
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(spec, absl::MaxSplits('=', 1));
  RETURN_IF_ERROR(CheckName(parts.first));
  ASSIGN_OR_RETURN(const Roles roles, ParseRoles(parts.second, ','));
  std::array<uint8_t, 32> secret;
  randombytes_buf(secret.data(), secret.size());
  std::string text;
  absl::WebSafeBase64Escape(absl::string_view(reinterpret_cast<const char*>(secret.data()), secret.size()),
                            &text);
  NewToken out;
  out.token = absl::StrCat("calserve_", text);
  const TokenDigest digest = DigestOf(out.token);
  out.line = absl::StrCat(
      parts.first, " ", roles.ToString(), " ", kPrefix,
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size())));
  return out;
}

}  // namespace calserve
