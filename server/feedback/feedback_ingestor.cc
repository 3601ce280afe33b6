#include "server/feedback/feedback_ingestor.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <limits>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/base/worker_pool.h"
#include "server/logging/log.h"

namespace calserve {
namespace {

constexpr size_t kMaxSourceBytes = 64;
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(20);
constexpr absl::Duration kRetryAfter = absl::Milliseconds(500);  // what clients are told to wait

using Outcome = FeedbackResult::Outcome;
using Reason = FeedbackResult::Reason;

// One Submit on its way to the store.
struct Submission {
  std::vector<Feedback> items;  // to be checked
  std::string source, submitter;
  std::vector<FeedbackResult> results;  // one for each item
  std::vector<ScoredLabel> labels;      // those to commit
  std::vector<size_t> indexes;          // of their results
  FeedbackIngestor::Done done;
  int64_t bytes = 0;  // set aside for it
};

int64_t QueuedBytes(absl::Span<const Feedback> items) {
  size_t bytes = 0;
  for (const Feedback& item : items) {
    bytes += item.ticket.size();
    if (const std::string* name = std::get_if<std::string>(&item.label)) bytes += name->size();
  }
  return static_cast<int64_t>(bytes);
}

// The error of a failed commit, as the submitters get it: what the store says is wrong for now, they may try
// again.
absl::Status NotAcknowledged(const absl::Status& status) {
  absl::Status error(status.code(),
                     absl::StrCat(status.message(), "; nothing was acknowledged, send it again"));
  return WithRetryAfter(WithReason(std::move(error), "FEEDBACK_STORE_UNAVAILABLE"), kRetryAfter);
}

class FeedbackIngestorImpl final : public FeedbackIngestor {
 public:
  FeedbackIngestorImpl(const FeedbackOptions& options, const TicketSealer& tickets, Store& store,
                       const Clock& clock, LabelLookup lookup, OnCommit on_commit)
      : options_(options),
        checker_(tickets, std::move(lookup)),
        store_(store),
        clock_(clock),
        on_commit_(std::move(on_commit)),
        checking_(std::in_place, /*threads=*/1, static_cast<size_t>(options.max_queued_labels),
                  std::numeric_limits<int64_t>::max()),
        writer_([this] { WriteUntilStopped(); }) {}

  ~FeedbackIngestorImpl() override {
    checking_.reset();  // What is queued there goes on to the writer.
    MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }

  void Submit(std::vector<Feedback> items, std::string source, std::string submitter, Done done) override;

  Counters counters() const override {
    Counters counters;
    {
      MutexLock lock(&mu_);
      counters = counters_;
      counters.queued_labels = queued_labels_;
    }
    counters.label_delay = label_delay_.values();
    counters.commit = commit_.values();
    return counters;
  }

 private:
  // Admission, before the tickets are opened: what a Submit may bring to the queue is set aside for it.
  absl::Status Reserve(int64_t labels, int64_t bytes);
  void Release(int64_t labels, int64_t bytes);
  void Check(Submission submission);
  // Puts it in the queue and gives back what was set aside and not needed.
  void Enqueue(Submission submission);

  void WriteUntilStopped();
  // Waits for work; empty once stopping and nothing is left.
  std::vector<Submission> NextGroup();
  void Commit(std::vector<Submission> group);
  absl::StatusOr<std::vector<AppendOutcome>> Append(absl::Span<ScoredLabel> labels);
  // One transaction, measured.
  absl::StatusOr<std::vector<AppendOutcome>> AppendPart(absl::Span<ScoredLabel> labels);
  void Complete(Submission submission, absl::Span<const AppendOutcome> outcomes);
  void BackOff();

  const FeedbackOptions options_;
  const FeedbackChecker checker_;
  Store& store_;
  const Clock& clock_;
  const OnCommit on_commit_;

  mutable Mutex mu_;
  CondVar changed_;
  std::deque<Submission> queue_ ABSL_GUARDED_BY(mu_);
  int64_t queued_labels_ ABSL_GUARDED_BY(mu_) = 0;  // in the queue, or set aside
  int64_t queued_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Counters counters_ ABSL_GUARDED_BY(mu_);  // Without what is so now, and the histograms.
  LabelDelayHistogram label_delay_;
  ServingHistogram commit_;

  absl::Duration backoff_ = absl::ZeroDuration();  // the writer's own; zero while the store works
  // One thread: of two labels of a prediction the first that was sent is the first in the queue.
  std::optional<WorkerPool> checking_;
  std::jthread writer_;
};

void FeedbackIngestorImpl::Submit(std::vector<Feedback> items, std::string source, std::string submitter,
                                  Done done) {
  if (source.size() > kMaxSourceBytes) {
    return std::move(done)(absl::InvalidArgumentError(
        absl::StrCat("source must have at most ", kMaxSourceBytes, " bytes; has ", source.size())));
  }
  const int64_t bytes = QueuedBytes(items);
  if (absl::Status status = Reserve(static_cast<int64_t>(items.size()), bytes); !status.ok())
    return std::move(done)(std::move(status));
  if (items.empty()) return std::move(done)(std::vector<FeedbackResult>());

  Submission submission;
  submission.results.resize(items.size());
  submission.items = std::move(items);
  submission.source = std::move(source);
  submission.submitter = std::move(submitter);
  submission.done = std::move(done);
  submission.bytes = bytes;
  // It fits: everything there has a label, for which Reserve has a place.
  (void)checking_->TrySubmit(
      [this, submission = std::move(submission)]() mutable { Check(std::move(submission)); }, 0);
}

void FeedbackIngestorImpl::Check(Submission submission) {
  const std::vector<Feedback> items = std::exchange(submission.items, {});
  for (size_t i = 0; i < items.size(); ++i) {
    absl::StatusOr<FeedbackChecker::LabelOrResult> checked = checker_.Check(items[i]);
    if (!checked.ok()) {
      Release(static_cast<int64_t>(items.size()), submission.bytes);
      return std::move(submission.done)(NotAcknowledged(checked.status()));
    }
    if (auto* rejected = std::get_if<FeedbackResult>(&*checked)) {
      submission.results[i] = std::move(*rejected);
      continue;
    }
    ScoredLabel& label = std::get<ScoredLabel>(*checked);
    submission.results[i].prediction_id = label.prediction.prediction_id.ToString();
    label.source = submission.source;
    label.submitter = submission.submitter;
    submission.labels.push_back(std::move(label));
    submission.indexes.push_back(i);
  }
  Enqueue(std::move(submission));
}

absl::Status FeedbackIngestorImpl::Reserve(int64_t labels, int64_t bytes) {
  if (labels > options_.max_queued_labels || bytes > options_.max_queued_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("at most ", options_.max_queued_labels, " labels with ", options_.max_queued_bytes,
                     " bytes of tickets and class names fit in one call; these are ", labels, " with ", bytes,
                     ": send them in parts"));
  }
  MutexLock lock(&mu_);
  if (labels > options_.max_queued_labels - queued_labels_ ||
      bytes > options_.max_queued_bytes - queued_bytes_) {
    absl::Status full = absl::ResourceExhaustedError(
        absl::StrCat("the feedback queue is full: ", queued_labels_, " of ", options_.max_queued_labels,
                     " labels and ", queued_bytes_, " of ", options_.max_queued_bytes,
                     " bytes wait to be checked or stored; retry with backoff"));
    return WithRetryAfter(WithReason(std::move(full), "FEEDBACK_QUEUE_FULL"), kRetryAfter);
  }
  queued_labels_ += labels;
  queued_bytes_ += bytes;
  return absl::OkStatus();
}

void FeedbackIngestorImpl::Release(int64_t labels, int64_t bytes) {
  MutexLock lock(&mu_);
  queued_labels_ -= labels;
  queued_bytes_ -= bytes;
}

void FeedbackIngestorImpl::Enqueue(Submission submission) {
  const int64_t labels = static_cast<int64_t>(submission.labels.size());
  const int64_t rejected = static_cast<int64_t>(submission.results.size()) - labels;
  {
    MutexLock lock(&mu_);
    counters_.rejected += rejected;
    queued_labels_ -= rejected;
    if (labels > 0) {
      queue_.push_back(std::move(submission));
      changed_.Signal();
      return;
    }
    queued_bytes_ -= submission.bytes;
  }
  std::move(submission.done)(std::move(submission.results));
}

void FeedbackIngestorImpl::WriteUntilStopped() {
  while (true) {
    std::vector<Submission> group = NextGroup();
    if (group.empty()) return;
    Commit(std::move(group));
  }
}

std::vector<Submission> FeedbackIngestorImpl::NextGroup() {
  MutexLock lock(&mu_);
  while (queue_.empty() && !stopping_) changed_.Wait(&mu_);
  std::vector<Submission> group;
  int64_t labels = 0;
  while (!queue_.empty()) {
    const int64_t next = static_cast<int64_t>(queue_.front().labels.size());
    if (!group.empty() && labels + next > options_.max_commit_labels) break;
    labels += next;
    queued_labels_ -= next;
    queued_bytes_ -= queue_.front().bytes;
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return group;
}

void FeedbackIngestorImpl::Commit(std::vector<Submission> group) {
  std::vector<ScoredLabel> labels;
  for (Submission& submission : group) {
    std::move(submission.labels.begin(), submission.labels.end(), std::back_inserter(labels));
  }
  const absl::StatusOr<std::vector<AppendOutcome>> outcomes = Append(absl::MakeSpan(labels));
  if (!outcomes.ok()) {
    if (backoff_ == absl::ZeroDuration()) {
      LogError("feedback_store_down", {{"error", outcomes.status().message()}});
    }
    const absl::Status status = NotAcknowledged(outcomes.status());
    for (Submission& submission : group) std::move(submission.done)(status);
    return BackOff();
  }
  if (backoff_ > absl::ZeroDuration()) LogInfo("feedback_store_up");
  backoff_ = absl::ZeroDuration();
  absl::Span<const AppendOutcome> rest = *outcomes;
  for (Submission& submission : group) {
    const size_t count = submission.indexes.size();
    Complete(std::move(submission), rest.first(count));
    rest.remove_prefix(count);
  }
}

absl::StatusOr<std::vector<AppendOutcome>> FeedbackIngestorImpl::Append(absl::Span<ScoredLabel> labels) {
  std::vector<AppendOutcome> all;
  all.reserve(labels.size());
  while (!labels.empty()) {
    const absl::Span<ScoredLabel> part =
        labels.first(std::min<size_t>(labels.size(), options_.max_commit_labels));
    ASSIGN_OR_RETURN(const std::vector<AppendOutcome> outcomes, AppendPart(part));
    all.insert(all.end(), outcomes.begin(), outcomes.end());
    labels.remove_prefix(part.size());
    if (on_commit_) on_commit_();
  }
  return all;
}

absl::StatusOr<std::vector<AppendOutcome>> FeedbackIngestorImpl::AppendPart(absl::Span<ScoredLabel> labels) {
  const auto start = std::chrono::steady_clock::now();
  absl::StatusOr<std::vector<AppendOutcome>> outcomes = store_.Append(labels, clock_.Now());
  commit_.Add(absl::FromChrono(std::chrono::steady_clock::now() - start));
  if (!outcomes.ok()) return outcomes;
  for (size_t i = 0; i < labels.size(); ++i) {
    if ((*outcomes)[i] == AppendOutcome::kAccepted)
      label_delay_.Add(labels[i].time - labels[i].prediction.issued_at);
  }
  return outcomes;
}

void FeedbackIngestorImpl::Complete(Submission submission, absl::Span<const AppendOutcome> outcomes) {
  Counters added;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    FeedbackResult& result = submission.results[submission.indexes[i]];
    switch (outcomes[i]) {
      case AppendOutcome::kAccepted:
        result.outcome = Outcome::kAccepted;
        ++added.accepted;
        break;
      case AppendOutcome::kDuplicate:
        result.outcome = Outcome::kDuplicate;
        ++added.duplicate;
        break;
      case AppendOutcome::kLabelConflict:
        result.reason = Reason::kLabelConflict;
        result.message = absl::StrCat("prediction ", result.prediction_id,
                                      " has another label already; the first one stays");
        ++added.label_conflict;
        ++added.rejected;
        break;
    }
  }
  {
    MutexLock lock(&mu_);
    counters_.accepted += added.accepted;
    counters_.duplicate += added.duplicate;
    counters_.label_conflict += added.label_conflict;
    counters_.rejected += added.rejected;
  }
  std::move(submission.done)(std::move(submission.results));
}

void FeedbackIngestorImpl::BackOff() {
  backoff_ = std::clamp(2 * backoff_, std::min(kFirstBackoff, options_.max_backoff), options_.max_backoff);
  MutexLock lock(&mu_);
  const absl::Time end = absl::Now() + backoff_;
  while (!stopping_) {
    const absl::Duration left = end - absl::Now();
    if (left <= absl::ZeroDuration() || changed_.WaitFor(&mu_, left)) return;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<FeedbackIngestor>> FeedbackIngestor::Create(const FeedbackOptions& options,
                                                                           const TicketSealer& tickets,
                                                                           Store& store, const Clock& clock,
                                                                           LabelLookup lookup,
                                                                           OnCommit on_commit) {
  if (options.max_queued_labels < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_queued_labels must be >= 1; was ", options.max_queued_labels));
  }
  if (options.max_queued_bytes < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_queued_bytes must be >= 1; was ", options.max_queued_bytes));
  }
  if (options.max_commit_labels < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_commit_labels must be >= 1; was ", options.max_commit_labels));
  }
  if (options.max_backoff < absl::ZeroDuration() || options.max_backoff > absl::Minutes(1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_backoff must be in [0, 1m]; was ", absl::FormatDuration(options.max_backoff)));
  }
  try {
    return std::make_unique<FeedbackIngestorImpl>(options, tickets, store, clock, std::move(lookup),
                                                  std::move(on_commit));
  } catch (const std::system_error& e) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot start the threads of feedback: ", e.what()));
  }
}

}  // namespace calserve
