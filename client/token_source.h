#ifndef CALSERVE_CLIENT_TOKEN_SOURCE_H_
#define CALSERVE_CLIENT_TOKEN_SOURCE_H_

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace calserve::client {

// The bearer token of calls: a given one, or that of a file, which is read again every second while it is
// used, so that a token that is replaced before it expires is taken up. Thread-safe.
class TokenSource final {
 public:
  // Either may be empty; a file counts more than a token. Of a file the first line counts, of both without
  // white space around it. INVALID_ARGUMENT for a token that is not one word of printable ASCII,
  // FAILED_PRECONDITION for a file that has none, is no regular file, or larger than 16 KiB. No message holds
  // any of a token.
  static absl::StatusOr<std::unique_ptr<TokenSource>> Create(const std::string& file,
                                                             absl::string_view token);

  // "Bearer TOKEN"; empty where there is none. A file that cannot be read any more leaves the last token.
  std::string Header();

 private:
  TokenSource(std::string file, std::string token) : file_(std::move(file)), token_(std::move(token)) {}

  const std::string file_;
  std::mutex mu_;  // of the two below
  std::string token_;
  absl::Time read_again_ = absl::InfinitePast();
};

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_TOKEN_SOURCE_H_
