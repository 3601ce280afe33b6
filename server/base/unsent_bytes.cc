#include "server/base/unsent_bytes.h"

#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

std::atomic<int64_t> limit_bytes{int64_t{512} << 20};
std::atomic<int64_t> unsent_bytes{0};

// By then a client that reads has read.
constexpr absl::Duration kRetryAfter = absl::Seconds(1);

absl::Status NoneLeft(int64_t bytes, int64_t unsent, int64_t limit) {
  return WithRetryAfter(
      WithReason(absl::ResourceExhaustedError(absl::StrCat(
                     "the answer takes ", bytes, " bytes, and answers that clients have not read take ",
                     unsent, " of at most ", limit, ": read answers, or retry")),
                 "ANSWERS_UNSENT"),
      kRetryAfter);
}

}  // namespace

void LimitUnsentBytes(int64_t limit) { limit_bytes = limit; }

absl::Status TakeUnsentBytes(int64_t bytes) {
  const int64_t limit = limit_bytes;
  const int64_t unsent = unsent_bytes.fetch_add(bytes);
  if (unsent + bytes <= limit) return absl::OkStatus();
  unsent_bytes -= bytes;
  return NoneLeft(bytes, unsent, limit);
}

void GiveUnsentBytes(int64_t bytes) { unsent_bytes -= bytes; }

int64_t UnsentBytes() { return unsent_bytes; }

}  // namespace calserve
