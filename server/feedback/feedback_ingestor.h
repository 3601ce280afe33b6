#ifndef CALSERVE_SERVER_FEEDBACK_FEEDBACK_INGESTOR_H_
#define CALSERVE_SERVER_FEEDBACK_FEEDBACK_INGESTOR_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/feedback/store.h"
#include "server/feedback/tickets.h"

namespace calserve {

// A ticket and its true label: index, or name.
struct Feedback {
  std::string ticket;
  std::variant<std::monostate, int32_t, std::string> label;
};

struct FeedbackResult {
  enum class Outcome { kAccepted, kDuplicate, kRejected };
  enum class Reason {
    kNone, kTicketInvalid, kTicketForeign, kTicketExpired, kTicketFromFuture, kLabelOutOfRange, kLabelUnknown,
    kLabelConflict
  };
  Outcome outcome = Outcome::kRejected;
  Reason reason = Reason::kNone;
  std::string message;
  std::string prediction_id;  // empty where the ticket could not be opened
};

struct FeedbackOptions {
  int max_queued_labels = 50'000;   // waiting for the writer; beyond it RESOURCE_EXHAUSTED
  int max_commit_labels = 2'000;    // labels in one transaction
};

// Opens tickets, checks labels, and commits them in groups through one writer thread; `done` is called once per
// Submit, from the caller's or the writer's thread, only when every accepted label is durable. Thread-safe.
// Destruction completes what is queued (with UNAVAILABLE if the store is down).
class FeedbackIngestor {
 public:
  // Index of a class name of a model; nullopt if it is not one. Called from Submit; thread-safe.
  using LabelLookup = std::function<std::optional<int32_t>(const std::string& model, const std::string& label)>;
  // Told after every commit, from the writer thread; must not wait.
  using OnCommit = std::function<void()>;
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::vector<FeedbackResult>>) &&>;

  struct Counters {
    int64_t accepted = 0, duplicate = 0, label_conflict = 0, rejected = 0;  // rejected: conflicts included
  };

  static absl::StatusOr<std::unique_ptr<FeedbackIngestor>> Create(const FeedbackOptions& options,
                                                                  const TicketSealer& tickets, Store& store,
                                                                  const Clock& clock, LabelLookup lookup,
                                                                  OnCommit on_commit);
  virtual ~FeedbackIngestor() = default;

  // `source` <= 64 bytes. RESOURCE_EXHAUSTED when too much waits; UNAVAILABLE when the store is down.
  virtual void Submit(std::vector<Feedback> items, std::string source, std::string submitter, Done done) = 0;
  virtual Counters counters() const = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_FEEDBACK_INGESTOR_H_
