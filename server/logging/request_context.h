#ifndef CALSERVE_SERVER_LOGGING_REQUEST_CONTEXT_H_
#define CALSERVE_SERVER_LOGGING_REQUEST_CONTEXT_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace calserve {

// The names by which a request is found again, here and in its caller's logs and traces. A value; making and
// copying one allocates nothing.
class RequestContext final {
 public:
  static constexpr size_t kMaxRequestId = 128;  // bytes

  // Of no request.
  RequestContext() = default;
  // Takes over what the headers `x-request-id` and `traceparent` say, where it is well formed; makes new ones
  // otherwise. The span is always new: it is this server's part of the trace. Empty: no such header, or more
  // than one.
  static RequestContext Make(absl::string_view request_id, absl::string_view traceparent);

  // 1 to kMaxRequestId visible ASCII characters but no " and no backslash.
  static bool IsRequestId(absl::string_view text);

  bool empty() const { return size_ == 0; }
  absl::string_view request_id() const { return {request_id_.data(), size_}; }
  absl::string_view trace_id() const { return {trace_id_.data(), trace_id_.size()}; }  // 32 hex digits
  absl::string_view span_id() const { return {span_id_.data(), span_id_.size()}; }     // 16 hex digits
  // Of the caller; empty where the trace begins here.
  absl::string_view parent_span_id() const {
    return {parent_span_id_.data(), has_parent_ ? parent_span_id_.size() : 0};
  }

 private:
  std::array<char, kMaxRequestId> request_id_{};
  std::array<char, 32> trace_id_{};
  std::array<char, 16> span_id_{}, parent_span_id_{};
  uint8_t size_ = 0;
  bool has_parent_ = false;
};

// While it lives, lines that this thread logs belong to the request: they carry its ids. Nests.
class RequestScope final {
 public:
  // `request` outlives the scope.
  explicit RequestScope(const RequestContext& request);
  ~RequestScope();
  RequestScope(const RequestScope&) = delete;
  RequestScope& operator=(const RequestScope&) = delete;

  // Of the innermost scope of this thread; null outside of all.
  static const RequestContext* Current();

 private:
  const RequestContext* const before_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_LOGGING_REQUEST_CONTEXT_H_
