#ifndef CALSERVE_SERVER_RPC_PAGE_H_
#define CALSERVE_SERVER_RPC_PAGE_H_

#include <google/protobuf/repeated_field.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"

namespace calserve {

// The part [begin, end) of a list that one page holds, and the token of the next; empty on the last.
struct Page {
  size_t begin = 0, end = 0;
  std::string next_token;
};

// INVALID_ARGUMENT for a page_size outside [0, 1000] (0: 100) or a token that no page gave.
inline absl::StatusOr<Page> PageOf(size_t items, int32_t page_size, const std::string& token) {
  if (page_size < 0 || page_size > 1000) {
    return WithField(
        absl::InvalidArgumentError(absl::StrCat("page_size must be 0 (100) to 1000; was ", page_size)),
        "page_size");
  }
  uint64_t begin = 0;
  // Tokens are written as below, and the first page has none.
  const bool given =
      absl::SimpleAtoi(token, &begin) && begin > 0 && begin <= items && absl::StrCat(begin) == token;
  if (!token.empty() && !given) {
    return WithField(absl::InvalidArgumentError("page_token is not one that a response gave"), "page_token");
  }
  Page page;
  page.begin = begin;
  page.end = std::min<size_t>(items, begin + (page_size == 0 ? 100 : page_size));
  if (page.end < items) page.next_token = absl::StrCat(page.end);
  return page;
}

// gRPC's clients take 4 MiB at a time unless they are told otherwise.
inline constexpr size_t kMaxPageBytes = 1 << 20;

// Adds the page's items, in their order, and ends the page before the one with which they would take more
// than kMaxPageBytes; the first is always there.
template <typename Message>
void FillPage(Page& page, absl::FunctionRef<Message(size_t item)> item_at,
              google::protobuf::RepeatedPtrField<Message>& to) {
  size_t bytes = 0;
  for (size_t item = page.begin; item < page.end; ++item) {
    Message message = item_at(item);
    bytes += message.ByteSizeLong();
    if (bytes > kMaxPageBytes && item > page.begin) {
      page.end = item;
      page.next_token = absl::StrCat(item);
      return;
    }
    to.Add(std::move(message));
  }
}

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_PAGE_H_
