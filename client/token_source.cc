#include "client/token_source.h"

#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace calserve::client {
namespace {

constexpr absl::Duration kReadInterval = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::string> TokenSource::ReadFile(const std::string& file) {
  std::ifstream in(file);
  std::string line;
  if (!in || !std::getline(in, line)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the token file ", file, " cannot be read or is empty"));
  }
  const std::string token(absl::StripAsciiWhitespace(line));
  for (const char c : token) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return absl::FailedPreconditionError(
          absl::StrCat("the token file ", file, " holds something that is no token"));
    }
  }
  if (token.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("the token file ", file, " holds no token"));
  }
  return token;
}

std::string TokenSource::Header() {
  const absl::Time now = absl::Now();
  const std::lock_guard<std::mutex> lock(mu_);
  if (!file_.empty() && now >= read_again_) {
    read_again_ = now + kReadInterval;
    if (absl::StatusOr<std::string> token = ReadFile(file_); token.ok()) token_ = *std::move(token);
  }
  return token_.empty() ? "" : absl::StrCat("Bearer ", token_);
}

}  // namespace calserve::client
