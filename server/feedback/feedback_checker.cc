#include "server/feedback/feedback_checker.h"

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

using Outcome = FeedbackResult::Outcome;
using Reason = FeedbackResult::Reason;

FeedbackResult Rejected(Reason reason, std::string message, std::string prediction_id = "") {
  return {Outcome::kRejected, reason, std::move(message), std::move(prediction_id)};
}

Reason ReasonOf(TicketError error) {
  switch (error) {
    case TicketError::kForeign:
      return Reason::kTicketForeign;
    case TicketError::kExpired:
      return Reason::kTicketExpired;
    case TicketError::kFromFuture:
      return Reason::kTicketFromFuture;
    case TicketError::kInvalid:
      break;
  }
  return Reason::kTicketInvalid;
}

}  // namespace

absl::StatusOr<FeedbackChecker::LabelOrResult> FeedbackChecker::Check(const Feedback& item) const {
  std::variant<TicketContent, TicketRejection> opened = tickets_.Open(item.ticket);
  if (auto* rejection = std::get_if<TicketRejection>(&opened)) {
    return Rejected(ReasonOf(rejection->error), std::move(rejection->message));
  }
  ScoredLabel label;
  label.prediction = std::get<TicketContent>(std::move(opened));
  ASSIGN_OR_RETURN(ClassOrResult index, ClassOf(item, label.prediction));
  if (auto* rejected = std::get_if<FeedbackResult>(&index)) {
    rejected->prediction_id = label.prediction.prediction_id.ToString();
    return std::move(*rejected);
  }
  label.label = std::get<int32_t>(index);
  if (item.inclusion_probability.has_value()) {
    const double p = *item.inclusion_probability;
    if (!(p > 0 && p <= 1)) {
      return Rejected(Reason::kInclusionProbabilityOutOfRange,
                      absl::StrCat("the inclusion probability must be in (0, 1]; was ", p),
                      label.prediction.prediction_id.ToString());
    }
    label.inclusion_probability = p;
  }
  return label;
}

absl::StatusOr<FeedbackChecker::ClassOrResult> FeedbackChecker::ClassOf(
    const Feedback& item, const TicketContent& prediction) const {
  if (std::holds_alternative<std::monostate>(item.label)) {
    return Rejected(Reason::kLabelUnknown, "no label given: give the index of the true class, or its name");
  }
  int32_t index = 0;
  if (const std::string* name = std::get_if<std::string>(&item.label)) {
    const absl::StatusOr<int32_t> found =
        lookup_ ? lookup_(prediction, *name) : absl::NotFoundError("class names are not known here");
    if (absl::IsNotFound(found.status())) {
      return Rejected(Reason::kLabelUnknown, std::string(found.status().message()));
    }
    RETURN_IF_ERROR(found.status());
    index = *found;
  } else {
    index = std::get<int32_t>(item.label);
  }
  if (index < 0 || index >= prediction.classes) {
    return Rejected(Reason::kLabelOutOfRange,
                    absl::StrCat("the label must be in [0, ", prediction.classes, "); was ", index));
  }
  return index;
}

}  // namespace calserve
