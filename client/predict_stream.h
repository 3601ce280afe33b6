#ifndef CALSERVE_CLIENT_PREDICT_STREAM_H_
#define CALSERVE_CLIENT_PREDICT_STREAM_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/types.h"

namespace calserve::client {

// Of a stream of requests and answers. Out of range, every Send and Finish is INVALID_ARGUMENT.
struct StreamLimits {
  int max_in_flight = 64;  // sent and not yet answered, >= 1; Send waits beyond it
  // > 0. Of one request, from Send to its answer, retries included; the stream fails with DEADLINE_EXCEEDED
  // then. Finish waits as long again for the stream to end once everything is answered.
  absl::Duration timeout = absl::Seconds(30);
};

// Predictions for throughput. Every Send is answered exactly once, through `on_answer`, in the order in which
// the server finishes, on one thread of the stream; on_answer must not call this stream. A request that the
// server refuses for now is sent again, and so is everything unanswered when the connection breaks, as the
// client's RetryOptions say. What a retry cannot mend fails its request; a stream that cannot be resumed
// fails all of them. Thread-safe. Destruction cancels: what is unanswered is answered CANCELLED before it
// returns.
class PredictStream {
 public:
  // `sequence` is the caller's own, as given to Send.
  using OnAnswer = std::function<void(int64_t sequence, absl::StatusOr<PredictResponse> answer)>;

  virtual ~PredictStream() = default;
  // Waits while max_in_flight are unanswered. An error means that the stream has failed and that this request
  // is not answered.
  virtual absl::Status Send(int64_t sequence, const PredictRequest& request) = 0;
  // Waits for every answer and ends the stream; nothing can be sent afterwards. OK, or why the stream failed.
  virtual absl::Status Finish() = 0;
};

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_PREDICT_STREAM_H_
