#ifndef CALSERVE_SERVER_FEEDBACK_FEEDBACK_INGESTOR_H_
#define CALSERVE_SERVER_FEEDBACK_FEEDBACK_INGESTOR_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/feedback/feedback_checker.h"
#include "server/feedback/store.h"
#include "server/feedback/tickets.h"
#include "server/telemetry/histogram.h"

namespace calserve {

struct FeedbackOptions {
  int max_queued_labels = 50'000;                // to be checked or written; beyond it RESOURCE_EXHAUSTED
  int64_t max_queued_bytes = int64_t{64} << 20;  // of their tickets, as large as 2 KB, and class names
  int max_commit_labels = 2'000;                 // in one transaction: what one label waits for at most
  absl::Duration max_backoff =
      absl::Seconds(1);  // between attempts while the store fails; from 20 ms, doubling
};

// Opens tickets and checks labels on one thread, and commits them in groups on another, the writer, both in
// the order of the Submits; `done` is called once per Submit, only when every accepted label is durable: from
// one of these threads, or from the caller's where the Submit is refused or empty. The labels of one Submit
// share a transaction unless there are more than max_commit_labels. Thread-safe. While the store fails, each
// group that was tried completes with its error, and the writer waits a little before it tries the next: it
// recovers by itself. Destruction completes what is queued (with UNAVAILABLE if the store is down).
class FeedbackIngestor {
 public:
  // As FeedbackChecker's: called from the checking thread, may wait; an error other than NOT_FOUND fails the
  // whole Submit.
  using LabelLookup = FeedbackChecker::LabelLookup;
  // Told after every commit, from the writer thread; must not wait.
  using OnCommit = std::function<void()>;
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::vector<FeedbackResult>>) &&>;

  struct Counters {
    int64_t accepted = 0, duplicate = 0, label_conflict = 0, rejected = 0;  // rejected: conflicts included
    int64_t queued_labels = 0;                                              // now
    HistogramValues label_delay;  // of accepted labels: from the prediction to its label's commit
    HistogramValues commit;       // of the store's transactions, failed ones included
  };

  // RESOURCE_EXHAUSTED where a thread cannot be had.
  static absl::StatusOr<std::unique_ptr<FeedbackIngestor>> Create(const FeedbackOptions& options,
                                                                  const TicketSealer& tickets, Store& store,
                                                                  const Clock& clock, LabelLookup lookup,
                                                                  OnCommit on_commit);
  virtual ~FeedbackIngestor() = default;

  // Never waits. `source` <= 64 bytes, at most max_queued_labels items: else INVALID_ARGUMENT.
  // RESOURCE_EXHAUSTED when too much waits; UNAVAILABLE when the store is down: then nothing of it is
  // acknowledged, and sending it again is safe.
  virtual void Submit(std::vector<Feedback> items, std::string source, std::string submitter, Done done) = 0;
  virtual Counters counters() const = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_FEEDBACK_FEEDBACK_INGESTOR_H_
