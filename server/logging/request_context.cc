#include "server/logging/request_context.h"

#include <algorithm>
#include <optional>

#include "absl/random/random.h"
#include "server/logging/trace_context.h"

namespace calserve {
namespace {

thread_local const RequestContext* current = nullptr;

// Random hex digits, not all zero.
template <size_t n>
void Fill(std::array<char, n>& id) {
  static_assert(n % 16 == 0);
  thread_local absl::InsecureBitGen bits;  // Seeded from the operating system, one a thread.
  for (size_t i = 0; i < n; i += 16) {
    auto word = absl::Uniform<uint64_t>(absl::IntervalClosed, bits, 1, ~uint64_t{0});
    for (size_t j = 0; j < 16; ++j, word >>= 4) id[i + j] = "0123456789abcdef"[word & 15];
  }
}

}  // namespace

bool RequestContext::IsRequestId(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxRequestId && std::all_of(text.begin(), text.end(), [](char c) {
    return c > 0x20 && c < 0x7F && c != '"' && c != '\\';
  });
}

RequestContext RequestContext::Make(absl::string_view request_id, absl::string_view traceparent) {
  RequestContext out;
  if (IsRequestId(request_id)) {
    out.size_ = static_cast<uint8_t>(request_id.size());
    std::copy(request_id.begin(), request_id.end(), out.request_id_.begin());
  } else {
    std::array<char, 32> id;
    Fill(id);
    out.size_ = id.size();
    std::copy(id.begin(), id.end(), out.request_id_.begin());
  }
  Fill(out.span_id_);
  if (const std::optional<TraceParent> parent = ParseTraceParent(traceparent)) {
    out.has_parent_ = true;
    std::copy(parent->trace_id.begin(), parent->trace_id.end(), out.trace_id_.begin());
    std::copy(parent->parent_id.begin(), parent->parent_id.end(), out.parent_span_id_.begin());
  } else {
    Fill(out.trace_id_);
  }
  return out;
}

RequestScope::RequestScope(const RequestContext& request) : before_(current) { current = &request; }
RequestScope::~RequestScope() { current = before_; }
const RequestContext* RequestScope::Current() { return current; }

}  // namespace calserve
