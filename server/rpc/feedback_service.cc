#include "server/rpc/feedback_service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/rpc/message_call.h"
#include "server/rpc/stream_pipe.h"

namespace calserve {
namespace {

constexpr int kMaxItems = 10'000;
constexpr size_t kMaxSource = 64;  // bytes
constexpr int kStreamWindow = 32;  // batches between read and acknowledged

using Items = google::protobuf::RepeatedPtrField<v1::FeedbackItem>;

absl::Status CheckBatch(const Items& items, const std::string& source) {
  if (items.empty() || items.size() > kMaxItems) {
    return WithField(absl::InvalidArgumentError(
                         absl::StrCat("a batch must have 1 to ", kMaxItems, " items; has ", items.size())),
                     "items");
  }
  if (source.size() > kMaxSource) {
    return WithField(absl::InvalidArgumentError(
                         absl::StrCat("source must be at most ", kMaxSource, " bytes; was ", source.size())),
                     "source");
  }
  return absl::OkStatus();
}

std::vector<Feedback> FromProto(const Items& items) {
  std::vector<Feedback> out;
  out.reserve(items.size());
  for (const v1::FeedbackItem& item : items) {
    Feedback& feedback = out.emplace_back();
    feedback.ticket = item.ticket();
    if (item.has_class_index()) feedback.label = item.class_index();
    if (item.has_class_name()) feedback.label = item.class_name();
    if (item.has_inclusion_probability()) feedback.inclusion_probability = item.inclusion_probability();
  }
  return out;
}

v1::FeedbackOutcome ToProto(FeedbackResult::Outcome outcome) {
  switch (outcome) {
    case FeedbackResult::Outcome::kAccepted:
      return v1::FEEDBACK_OUTCOME_ACCEPTED;
    case FeedbackResult::Outcome::kDuplicate:
      return v1::FEEDBACK_OUTCOME_DUPLICATE;
    case FeedbackResult::Outcome::kRejected:
      return v1::FEEDBACK_OUTCOME_REJECTED;
  }
  return v1::FEEDBACK_OUTCOME_UNSPECIFIED;
}

v1::RejectionReason ToProto(FeedbackResult::Reason reason) {
  switch (reason) {
    case FeedbackResult::Reason::kNone:
      return v1::REJECTION_REASON_UNSPECIFIED;
    case FeedbackResult::Reason::kTicketInvalid:
      return v1::REJECTION_REASON_TICKET_INVALID;
    case FeedbackResult::Reason::kTicketForeign:
      return v1::REJECTION_REASON_TICKET_FOREIGN;
    case FeedbackResult::Reason::kTicketExpired:
      return v1::REJECTION_REASON_TICKET_EXPIRED;
    case FeedbackResult::Reason::kTicketFromFuture:
      return v1::REJECTION_REASON_TICKET_FROM_FUTURE;
    case FeedbackResult::Reason::kLabelOutOfRange:
      return v1::REJECTION_REASON_LABEL_OUT_OF_RANGE;
    case FeedbackResult::Reason::kLabelUnknown:
      return v1::REJECTION_REASON_LABEL_UNKNOWN;
    case FeedbackResult::Reason::kLabelConflict:
      return v1::REJECTION_REASON_LABEL_CONFLICT;
    case FeedbackResult::Reason::kInclusionProbabilityOutOfRange:
      return v1::REJECTION_REASON_INCLUSION_PROBABILITY_OUT_OF_RANGE;
  }
  return v1::REJECTION_REASON_UNSPECIFIED;
}

template <typename Response>
void AddResults(std::vector<FeedbackResult>&& results, Response& response) {
  response.mutable_results()->Reserve(static_cast<int>(results.size()));
  for (FeedbackResult& result : results) {
    v1::FeedbackResult& out = *response.add_results();
    out.set_outcome(ToProto(result.outcome));
    out.set_reason(ToProto(result.reason));
    out.set_message(std::move(result.message));
    out.set_prediction_id(std::move(result.prediction_id));
  }
}

class FeedbackStream final : public StreamPipe<v1::StreamFeedbackRequest, v1::StreamFeedbackResponse> {
 public:
  FeedbackStream(Admission admission, FeedbackIngestor& ingestor, CallTracker& calls)
      : StreamPipe(calls, std::move(admission), Order::kOfRequests, kStreamWindow, WhenFull::kAnswer),
        ingestor_(ingestor) {
    Start();
  }

 private:
  void Handle(std::unique_ptr<v1::StreamFeedbackRequest> request, const TensorsInPlace& /*none*/,
              absl::Time /*received*/, Answer answer) override {
    if (absl::Status status = CheckBatch(request->items(), request->source()); !status.ok())
      return answer(status);
    ingestor_.Submit(FromProto(request->items()), request->source(), who(),
                     [sequence = request->sequence(),
                      answer = std::move(answer)](absl::StatusOr<std::vector<FeedbackResult>> results) {
                       if (!results.ok()) return answer(results.status());
                       v1::StreamFeedbackResponse response;
                       response.set_sequence(sequence);
                       AddResults(*std::move(results), response);
                       answer(std::move(response));
                     });
  }

  FeedbackIngestor& ingestor_;
};

}  // namespace

grpc::ServerUnaryReactor* FeedbackService::SubmitFeedback(grpc::CallbackServerContext* context,
                                                          const grpc::ByteBuffer* request,
                                                          grpc::ByteBuffer* response) {
  using Call = MessageCall<v1::SubmitFeedbackRequest, v1::SubmitFeedbackResponse>;
  auto* call = new Call(calls_, gate_.Authorize(*context, method::kSubmitFeedback), response);
  if (!call->Read(request)) return call;
  const v1::SubmitFeedbackRequest& batch = call->request();
  if (absl::Status status = CheckBatch(batch.items(), batch.source()); !status.ok()) {
    call->Reply(status);
    return call;
  }
  ingestor_.Submit(FromProto(batch.items()), batch.source(), call->admission().who(),
                   [call](absl::StatusOr<std::vector<FeedbackResult>> results) {
                     if (results.ok()) AddResults(*std::move(results), call->response());
                     call->Reply(results.status());
                   });
  return call;
}

ByteStream* FeedbackService::StreamFeedback(grpc::CallbackServerContext* context) {
  return new FeedbackStream(gate_.Authorize(*context, method::kStreamFeedback), ingestor_, calls_);
}

}  // namespace calserve
