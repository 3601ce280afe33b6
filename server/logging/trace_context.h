#ifndef CALSERVE_SERVER_LOGGING_TRACE_CONTEXT_H_
#define CALSERVE_SERVER_LOGGING_TRACE_CONTEXT_H_

#include <optional>

#include "absl/strings/string_view.h"

namespace calserve {

// W3C Trace Context (https://www.w3.org/TR/trace-context/), sections 3.2 and 3.3.

// What a `traceparent` header says. Views into it.
struct TraceParent {
  absl::string_view trace_id;   // 32 lower-case hex digits, not all zero
  absl::string_view parent_id;  // 16 of them, not all zero: the caller's span
  bool sampled = false;
};

// nullopt for what the recommendation has ignored: another length, an upper-case digit, version ff, an id
// that is all zeros. Of a version above 00 what follows the flags is not looked at.
std::optional<TraceParent> ParseTraceParent(absl::string_view header);

// Whether a `tracestate` header may be passed on: at most 32 members KEY=VALUE, no key twice, at most 512
// bytes.
bool IsTraceState(absl::string_view header);

}  // namespace calserve

#endif  // CALSERVE_SERVER_LOGGING_TRACE_CONTEXT_H_
