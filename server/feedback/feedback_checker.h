#ifndef CALSERVE_SERVER_FEEDBACK_FEEDBACK_CHECKER_H_
#define CALSERVE_SERVER_FEEDBACK_FEEDBACK_CHECKER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "server/feedback/scored_label.h"
#include "server/feedback/tickets.h"

namespace calserve {

// A ticket and its true label: index, or name.
struct Feedback {
  std::string ticket;
  std::variant<std::monostate, int32_t, std::string> label;
  std::optional<double> inclusion_probability = std::nullopt;  // (0, 1], as ScoredLabel's
};

struct FeedbackResult {
  enum class Outcome { kAccepted, kDuplicate, kRejected };
  enum class Reason {
    kNone,
    kTicketInvalid,
    kTicketForeign,
    kTicketExpired,
    kTicketFromFuture,
    kLabelOutOfRange,
    kLabelUnknown,
    kLabelConflict,
    kInclusionProbabilityOutOfRange
  };
  Outcome outcome = Outcome::kRejected;
  Reason reason = Reason::kNone;
  std::string message;
  std::string prediction_id;  // empty where the ticket could not be opened
};

// Opens the ticket of one item and checks what it says. Thread-safe where the lookup is.
class FeedbackChecker final {
 public:
  // Index of a class name of the model version that made the prediction. NOT_FOUND with a sentence for the
  // caller: the item is rejected; any other error: it cannot be told now.
  using LabelLookup =
      std::function<absl::StatusOr<int32_t>(const TicketContent& prediction, const std::string& label)>;

  // `tickets` outlives it; without a lookup every name is unknown.
  FeedbackChecker(const TicketSealer& tickets, LabelLookup lookup)
      : tickets_(tickets), lookup_(std::move(lookup)) {}

  // A label to commit, or why it is rejected. Fails only as the lookup fails.
  using LabelOrResult = std::variant<ScoredLabel, FeedbackResult>;
  absl::StatusOr<LabelOrResult> Check(const Feedback& item) const;

 private:
  using ClassOrResult = std::variant<int32_t, FeedbackResult>;
  absl::StatusOr<ClassOrResult> ClassOf(const Feedback& item, const TicketContent& prediction) const;

  const TicketSealer& tickets_;
  const LabelLookup lookup_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_FEEDBACK_CHECKER_H_
