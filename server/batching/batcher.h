#ifndef CALSERVE_SERVER_BATCHING_BATCHER_H_
#define CALSERVE_SERVER_BATCHING_BATCHER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/base/byte_pieces.h"
#include "server/base/monotonic_clock.h"
#include "server/batching/device_turns.h"

namespace calserve {

struct BatchingOptions {
  int max_batch_size = 32;                                // rows in one forward pass
  absl::Duration max_queue_delay = absl::ZeroDuration();  // what a lone request may wait for company
  int max_queue_rows = 1024;                              // beyond it RESOURCE_EXHAUSTED
  int64_t max_queue_bytes = int64_t{256} << 20;           // of queued inputs; beyond it RESOURCE_EXHAUSTED
  absl::Duration queue_timeout = absl::ZeroDuration();    // from receipt to the batch; 0: no limit. What
                                                          // cannot keep it is refused at once
  int priority_levels = 1;                                // 1 is the most urgent
  int default_priority = 1;                               // of a task that names none
  int instances = 1;                                      // threads, each running one batch at a time
  // A batch that is expected to take no longer, for which an instance is idle, runs on the thread that read
  // its requests, where any thread may: no other is woken. 0: never.
  absl::Duration inline_limit = absl::ZeroDuration();
};

// Logits of one task.
struct BatchResult {
  std::vector<float> logits;  // rows × columns
  absl::Duration queued;      // from Schedule to the start of its batch
  absl::Duration ran;         // the forward pass
  double share = 1;           // of its batch's rows
};

// Whether the client still wants an answer; shared between the call and the queue.
class CancelFlag {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
};

// Some rows of one request. Completes exactly once: result, error, deadline, cancellation or shutdown.
struct BatchTask {
  int rows = 0;
  // rows × row_size values, row after row, wherever they lie, also not aligned; they must stay there until
  // `done` is called.
  BytePieces input;
  int priority = 0;  // 1 (the most urgent) to priority_levels; 0: default_priority
  absl::Time deadline = absl::InfiniteFuture();
  absl::Duration waited;  // since it was received, before Schedule; counts for queue_timeout
  std::shared_ptr<const CancelFlag> cancel;  // may be null
  absl::AnyInvocable<void(absl::StatusOr<BatchResult>) &&> done;
};

// In what time a task comes, as estimated: low for its deadline and queue_timeout, high for the room that it
// finds.
struct Arrival {
  absl::Duration at_least, at_most;
};

// Runs batches on `instance`. Called by one thread at a time.
struct BatchRunner {
  // Whether it may be called now by a thread that reads requests; else by the instance's own only, as where
  // it is null. Asked for each task: must not wait.
  std::function<bool()> any_thread;
  int slots = 1;  // batches that an instance may have under way: 2 where the second can be copied meanwhile
  // Where the rows of the next batch of a slot are written: max_batch_size × row_size floats.
  std::function<absl::Span<float>(int instance, int slot)> staging;
  // Begins with the first `rows` rows of a slot.
  std::function<absl::Status(int instance, int slot, int rows)> start;
  // Waits for what was begun and writes rows × columns logits. DATA_LOSS: some rows are not finite; the
  // batcher finds whose.
  std::function<absl::Status(int instance, int slot, int rows, absl::Span<float> logits)> finish;
  // Run once by each instance's thread, before Create returns, which an error is of: what its first batch
  // would have to wait for. May be null.
  std::function<absl::Status(int instance)> prepare;
  // Whether a device computes, else this machine's cores.
  bool on_device = false;
  int64_t row_size = 0;  // floats
  int columns = 0;
  // Of the device, which other batchers may run on too, and the model for which this one asks; null: it never
  // waits for them.
  std::shared_ptr<DeviceTurns> turns;
  std::string model;
};

// Groups tasks of one model version into batches. Work-conserving: an idle instance takes what waits, up to
// max_batch_size rows, or the thread that read it runs it in its place (inline_limit); only with
// max_queue_delay > 0 does a short batch wait. An instance with two slots takes a second batch before the
// first is done only if it is full: a short one may still grow. Where batchers of a device take turns, a
// batch is taken when it is their turn, and its tasks are queued until then. A task whose deadline has passed
// or whose client has cancelled is dropped before it reaches the model (DEADLINE_EXCEEDED, CANCELLED), and
// leaves the queue also while every instance is busy, as does one that has waited queue_timeout
// (RESOURCE_EXHAUSTED). A task's rows stay together, in one batch.
//
// Priorities are strict: what waits runs in the order of its level, then of its arrival; but what comes later
// overtakes a task of a lower level only while that one, by the measured service times, still begins in time
// for its deadline and its queue_timeout. So nothing that was let in expires because of later arrivals; and a
// short deadline gets a task past others of its level only where those can wait and it could not wait for the
// newcomer. A quarter of the queue, in rows and in bytes, is
// kept for level 1, and a quarter of the time until a deadline or queue_timeout: where others wait, a lower
// level is refused what it could have only without later arrivals.
//
// Thread-safe. Destruction completes every queued task (UNAVAILABLE) after the running batches.
class Batcher {
 public:
  // `clock` outlives the batcher.
  static absl::StatusOr<std::unique_ptr<Batcher>> Create(const BatchingOptions& options, BatchRunner runner,
                                                         MonotonicClock& clock = MonotonicClock::System());
  virtual ~Batcher() = default;

  // Calls task.done exactly once: at once, on this thread, when the task is refused (RESOURCE_EXHAUSTED: the
  // queue is full, or it would wait and then, by the measured service times, miss its deadline or the
  // queue_timeout; all say when to retry; INVALID_ARGUMENT: rows not in [1, max_batch_size], or other input
  // than theirs; DEADLINE_EXCEEDED: too late already), else from one of the batcher's threads, or from one
  // that reads requests (RunBeforeWaiting) once Schedule has returned. What runs there must be short and must
  // not destroy the batcher.
  virtual void Schedule(BatchTask task) = 0;

  // Whether a task that would be scheduled then would have room and could be done in time, by
  // the measured service times and what is queued now: OK, or as Schedule would refuse it. Needs no input and
  // no callback.
  virtual absl::Status CheckAdmission(BatchTask task, Arrival arrival) = 0;

  // Completes every queued task (UNAVAILABLE) after the running batches and ends the threads: once it returns
  // no callback runs, and a later task is refused (UNAVAILABLE). Destruction does the same. A queued task
  // that keeps its own batcher alive would never let it be destroyed: stop it first. Not from a task's done.
  virtual void Stop() {}

  // Batches of one number of rows.
  struct BatchesOfSize {
    int64_t batches = 0;
    absl::Duration ran;  // all together
  };

  // Every task that was scheduled is in exactly one of tasks, refused, expired, cancelled, or still queued
  // (or was when the batcher stopped).
  struct Counters {
    int64_t tasks = 0, rows = 0, batches = 0;         // that reached the model
    int64_t refused = 0, expired = 0, cancelled = 0;  // tasks that did not
    int64_t failed = 0;                               // of `tasks`, those that the model gave an error
    int64_t queued_rows = 0, queued_bytes = 0;        // now
    int busy_instances = 0;                           // now: those that do not wait for work
    absl::Duration longest_run;                       // now: of a batch under way; zero: there is none
    absl::Duration turn_wait;                         // of all instances, for their turn on the device
    std::vector<BatchesOfSize> by_rows;               // of n rows at [n - 1], up to the most that ran
  };
  virtual Counters counters() const = 0;
  virtual const BatchingOptions& options() const = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BATCHING_BATCHER_H_
