#include "client/token_source.h"

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "calibration_io/file.h"

namespace calserve::client {
namespace {

constexpr absl::Duration kReadInterval = absl::Seconds(1);
constexpr int64_t kMaxTokenFileBytes = 16 << 10;  // twice what a server takes of all headers of a call

// gRPC ends the process, printing the header, where one holds anything else.
absl::StatusOr<std::string> Parse(absl::string_view text, absl::string_view name) {
  const absl::string_view token = absl::StripAsciiWhitespace(text);
  const auto bad = std::find_if_not(
      token.begin(), token.end(), [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); });
  if (bad != token.end()) {
    return absl::InvalidArgumentError(absl::StrCat(name, " must be one word of printable ASCII; its byte ",
                                                   bad - token.begin() + 1, " of ", token.size(), " is not"));
  }
  if (static_cast<int64_t>(token.size()) > kMaxTokenFileBytes) return LargerThan(name, kMaxTokenFileBytes);
  return std::string(token);
}

absl::StatusOr<std::string> ReadToken(const std::string& file) {
  const std::string name = absl::StrCat("the token of ", file);
  const absl::StatusOr<std::string> content = ReadRegularFile(file, kMaxTokenFileBytes);
  absl::StatusOr<std::string> token =
      content.ok() ? Parse(absl::string_view(*content).substr(0, content->find('\n')), name)
                   : content.status();
  if (!token.ok()) {
    return absl::FailedPreconditionError(absl::StrCat("token_file: ", token.status().message()));
  }
  if (token->empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("token_file: the first line of ", file, " must be a token; is empty"));
  }
  return token;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenSource>> TokenSource::Create(const std::string& file,
                                                                 absl::string_view token) {
  absl::StatusOr<std::string> first = file.empty() ? Parse(token, "token") : ReadToken(file);
  if (!first.ok()) return first.status();
  return absl::WrapUnique(new TokenSource(file, *std::move(first)));
}

std::string TokenSource::Header() {
  const absl::Time now = absl::Now();
  const std::lock_guard<std::mutex> lock(mu_);
  if (!file_.empty() && now >= read_again_) {
    read_again_ = now + kReadInterval;
    if (absl::StatusOr<std::string> token = ReadToken(file_); token.ok()) token_ = *std::move(token);
  }
  return token_.empty() ? "" : absl::StrCat("Bearer ", token_);
}

}  // namespace calserve::client
