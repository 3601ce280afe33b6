#ifndef CALSERVE_CLIENT_FEEDBACK_STREAM_H_
#define CALSERVE_CLIENT_FEEDBACK_STREAM_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/predict_stream.h"
#include "client/types.h"

namespace calserve::client {

// Labels for throughput. Each batch is answered exactly once, through `on_answer`, in order, on one thread of
// the stream; an answer means that its labels are durable. Batches unanswered when the connection breaks are
// sent again: the server counts a label once however often it is sent. As PredictStream otherwise.
class FeedbackStream {
 public:
  using OnAnswer = std::function<void(int64_t sequence, absl::StatusOr<std::vector<FeedbackResult>> results)>;

  virtual ~FeedbackStream() = default;
  // 1 to 10,000 items; INVALID_ARGUMENT else, and the stream goes on without the batch. Waits while
  // max_in_flight batches are unanswered.
  virtual absl::Status Send(int64_t sequence, absl::Span<const Feedback> items,
                            const std::string& source = "") = 0;
  virtual absl::Status Finish() = 0;
};

}  // namespace calserve::client

#endif  // CALSERVE_CLIENT_FEEDBACK_STREAM_H_
