#include "server/batching/instance_batcher.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "server/base/before_waiting.h"
#include "server/base/gathered_answers.h"
#include "server/base/on_cores.h"
#include "server/base/thread_name.h"
#include "server/batching/batch_policy.h"
#include "server/batching/check_task.h"

namespace calserve {
namespace {

// Cancellation is a flag that nobody signals: while cancellable tasks wait, they are looked at this often.
constexpr absl::Duration kCancelPoll = absl::Milliseconds(10);
// Tasks that expire together are swept together.
constexpr absl::Duration kSweepGrain = absl::Milliseconds(1);

// The one place where a task completes. What a callback throws must not take the batcher's thread with it.
void Complete(BatchTask task, absl::StatusOr<BatchResult> result) {
  try {
    std::move(task.done)(std::move(result));
  } catch (...) {  // The callback's owner lost its call; the other tasks have not.
  }
}

void CompleteAll(std::vector<DroppedTask> dropped) {
  for (DroppedTask& drop : dropped) Complete(std::move(drop.task), std::move(drop.why));
}

int RowsOf(const std::vector<QueuedTask>& batch) {
  int rows = 0;
  for (const QueuedTask& queued : batch) rows += queued.task.rows;
  return rows;
}

absl::Status Unloading() { return absl::UnavailableError("the model is being unloaded; retry"); }

}  // namespace

absl::Status InstanceBatcher::StartThreads() {
  for (int instance = 0; instance < options_.instances; ++instance) {
    threads_.emplace_back([this, instance] { InstanceLoop(instance); });
  }
  threads_.emplace_back([this] { SweepLoop(); });
  MutexLock lock(&mu_);
  while (prepared_ < options_.instances) instance_prepared_.Wait(&mu_);
  return unprepared_;
}

void InstanceBatcher::Schedule(BatchTask task) {
  if (absl::Status status = TryEnqueue(task); !status.ok()) Complete(std::move(task), std::move(status));
}

void InstanceBatcher::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    work_.SignalAll();
    sweep_sooner_.SignalAll();
  }
  line_.Close();
  inline_runs_->End();
  threads_.clear();
  std::vector<QueuedTask> left;
  {
    MutexLock lock(&mu_);
    left = queue_.TakeFirst(queue_.tasks());
  }
  for (QueuedTask& queued : left) Complete(std::move(queued.task), Unloading());
}

Batcher::Counters InstanceBatcher::counters() const {
  MutexLock lock(&mu_);
  Counters counters = counters_;
  counters.queued_rows = queue_.rows();
  counters.queued_bytes = queue_.bytes();
  counters.busy_instances = stopping_ ? 0 : prepared_ - instances_.idle();
  counters.longest_run = instances_.LongestRun(clock_.Now());
  return counters;
}

absl::Status InstanceBatcher::TryEnqueue(BatchTask& task) {
  absl::Status status = CheckTask(task, options_, runner_);
  task.priority = LevelOf(task.priority, options_);
  const absl::Duration slack = task.deadline - absl::Now();
  const absl::Time now = clock_.Now();
  MutexLock lock(&mu_);
  if (status.ok()) status = CheckOpen(slack);
  const absl::StatusOr<QueuePlace> place = status.ok() ? Admission(now).Admit(task, slack) : status;
  if (!place.ok()) {
    Count(place.status().code());
    return place.status();
  }
  const absl::Time deadline = now + slack;
  const absl::Time give_up = options_.queue_timeout > absl::ZeroDuration()
                                 ? now + options_.queue_timeout - task.waited
                                 : absl::InfiniteFuture();
  SweepBy(std::min(deadline, give_up));
  if (task.cancel != nullptr && instances_.idle() == 0) {
    SweepBy(now + kCancelPoll);
  } else if (task.cancel != nullptr) {
    unpolled_ = true;
  }
  queue_.Push({std::move(task), now, deadline, give_up, OnCores(!runner_.on_device)}, *place);
  if (!RunsInline()) work_.Signal();
  return absl::OkStatus();
}

absl::Status InstanceBatcher::CheckAdmission(BatchTask task, Arrival arrival) {
  absl::Status status = CheckPriority(task.priority, options_);
  task.priority = LevelOf(task.priority, options_);
  const absl::Duration slack = task.deadline - absl::Now();
  const absl::Time now = clock_.Now();
  MutexLock lock(&mu_);
  if (status.ok()) status = CheckOpen(slack);
  if (status.ok()) status = Admission(now).CheckAdmission(task, slack, arrival);
  if (!status.ok()) Count(status.code());
  return status;
}

BatchAdmission InstanceBatcher::Admission(absl::Time now) const {
  return BatchAdmission(options_, queue_, times_, instances_.BusyFor(now), now);
}

absl::Status InstanceBatcher::CheckOpen(absl::Duration slack) const {
  if (stopping_) return Unloading();
  if (slack > absl::ZeroDuration()) return absl::OkStatus();
  return absl::DeadlineExceededError("the deadline had passed before the request was queued");
}

void InstanceBatcher::Count(absl::StatusCode without_model) {
  switch (without_model) {
    case absl::StatusCode::kDeadlineExceeded:
      ++counters_.expired;
      break;
    case absl::StatusCode::kCancelled:
      ++counters_.cancelled;
      break;
    default:
      ++counters_.refused;
  }
}

void InstanceBatcher::Prepare(int instance) {
  absl::Status status = pipelines_[instance]->Prepare();
  MutexLock lock(&mu_);
  unprepared_.Update(std::move(status));
  ++prepared_;
  instance_prepared_.SignalAll();
}

void InstanceBatcher::InstanceLoop(int instance) {
  NameThread(kInstanceThread);
  Prepare(instance);
  InstancePipeline& pipeline = *pipelines_[instance];
  const auto finish = [&] {
    FinishedBatch batch = pipeline.Finish();
    Answer(instance, std::move(batch), pipeline.rows_of_oldest());
  };
  std::optional<DeviceTurns::Turn> turn;
  while (std::optional<Work> work =
             NextWork(instance, /*busy=*/!pipeline.empty(), std::exchange(turn, std::nullopt))) {
    CompleteAll(std::move(work->dropped));
    const bool started = !work->batch.empty();
    if (started) pipeline.Start(std::move(work->batch), std::move(work->turn));
    if (work->needs_turn) turn = AwaitTurn(instance);
    if (pipeline.full() || (!started && !pipeline.empty())) finish();
  }
  while (!pipeline.empty()) finish();
}

std::optional<InstanceBatcher::Work> InstanceBatcher::NextWork(int instance, bool busy,
                                                               std::optional<DeviceTurns::Turn> turn) {
  MutexLock lock(&mu_);
  while (!stopping_) {
    const absl::Time now = clock_.Now();
    absl::Duration wait;
    Work work = TakeWork(instance, busy, std::exchange(turn, std::nullopt), now, &wait);
    if (work.needs_turn) return work;
    if (busy || !work.batch.empty() || !work.dropped.empty()) {
      if (!queue_.empty())
        work_.Signal();  // Another instance may have slept through these tasks' own signals.
      return work;
    }
    AwaitWork(instance, now + wait);
  }
  return std::nullopt;
}

InstanceBatcher::Work InstanceBatcher::TakeWork(int instance, bool busy,
                                                std::optional<DeviceTurns::Turn> turn, absl::Time now,
                                                absl::Duration* wait) {
  Work work;
  const std::vector<BatchCandidate> candidates = queue_.Candidates(now, &work.dropped);
  const BatchDecision decision = DecideBatch(options_, candidates, times_.typical());
  *wait = decision.wait;
  if (decision.take > 0 && (!busy || decision.full)) {
    if (!turn.has_value() && (turn = line_.TryTake()).has_value()) times_.ObserveTurn(absl::ZeroDuration());
    work.needs_turn = !turn.has_value() && !busy;
    if (turn.has_value()) {
      work.turn = *std::move(turn);
      work.batch = queue_.TakeFirst(decision.take);
      instances_.Began(instance, now, times_.Expected(RowsOf(work.batch)) + times_.turn_wait());
    }
  }
  for (const DroppedTask& drop : work.dropped) Count(drop.why.code());
  if (std::exchange(unpolled_, false) && !queue_.empty()) SweepBy(now + kCancelPoll);
  return work;
}

std::optional<DeviceTurns::Turn> InstanceBatcher::AwaitTurn(int instance) {
  const absl::Time began = clock_.Now();
  {
    MutexLock lock(&mu_);
    instances_.BeginTurnWait(instance, began, times_.turn_wait());
  }
  std::optional<DeviceTurns::Turn> turn = line_.Take();
  const absl::Time now = clock_.Now();
  MutexLock lock(&mu_);
  instances_.EndTurnWait(instance, now);
  times_.ObserveTurn(now - began);
  counters_.turn_wait += now - began;
  return turn;
}

void InstanceBatcher::SweepBy(absl::Time time) {
  if (time >= sweep_at_) return;
  sweep_at_ = time;
  sweep_sooner_.Signal();
}

void InstanceBatcher::AwaitWork(int instance, absl::Time end) {
  instances_.BeginWait(instance);
  clock_.WaitUntil(&work_, &mu_, end);
  while (instances_.lent(instance)) {
    if (instances_.idle() > 0 && !queue_.empty()) work_.Signal();  // The signal was for one of those.
    clock_.WaitUntil(&work_, &mu_, absl::InfiniteFuture());
  }
  instances_.EndWait(instance);
}

bool InstanceBatcher::IsShort() const {
  return options_.inline_limit > absl::ZeroDuration() && runner_.any_thread != nullptr &&
         runner_.any_thread() && queue_.rows() <= options_.max_batch_size &&
         times_.AtMost(queue_.rows()) <= options_.inline_limit;
}

bool InstanceBatcher::RunsInline() {
  if (instances_.idle() == 0 || !IsShort()) return false;
  const std::thread::id here = std::this_thread::get_id();
  if (inline_ahead_.has_value()) return *inline_ahead_ == here;
  if (!RunBeforeWaiting([runs = inline_runs_] { runs->Run(); })) return false;
  inline_ahead_ = here;
  return true;
}

void InstanceBatcher::RunInline() noexcept {
  int instance = 0;
  Work work;
  {
    MutexLock lock(&mu_);
    inline_ahead_.reset();
    if (!IsShort()) {  // More came meanwhile; its thread may not have woken yet.
      if (!queue_.empty()) work_.Signal();
      return;
    }
    const std::optional<int> idle = instances_.FirstIdle();
    if (!idle.has_value()) return;  // One that is busy looks when it is done.
    instance = *idle;
    absl::Duration wait;
    work = TakeWork(instance, /*busy=*/false, std::nullopt, clock_.Now(), &wait);
    if (!work.batch.empty()) {
      instances_.Lend(instance);
    } else if (!queue_.empty()) {
      work_.Signal();  // Its thread waits for company, or for its turn.
    }
  }
  CompleteAll(std::move(work.dropped));
  if (work.batch.empty()) return;
  pipelines_[instance]->Start(std::move(work.batch), std::move(work.turn));
  Answer(instance, pipelines_[instance]->Finish(), /*rows_under_way=*/0);
  MutexLock lock(&mu_);
  instances_.TakeBack(instance);
  if (stopping_) work_.SignalAll();
  if (!queue_.empty()) work_.Signal();
}

void InstanceBatcher::Answer(int instance, FinishedBatch batch, int rows_under_way) {
  {
    MutexLock lock(&mu_);
    const absl::Duration ran = batch.ran;
    if (batch.complete) times_.Observe(batch.rows, ran);
    instances_.Finished(
        instance, clock_.Now(),
        rows_under_way > 0 ? times_.Expected(rows_under_way) + times_.turn_wait() : absl::ZeroDuration());
    ++counters_.batches;
    counters_.tasks += static_cast<int64_t>(batch.tasks.size());
    counters_.rows += batch.rows;
    counters_.failed += batch.failed;
    if (counters_.by_rows.size() < static_cast<size_t>(batch.rows)) counters_.by_rows.resize(batch.rows);
    ++counters_.by_rows[batch.rows - 1].batches;
    counters_.by_rows[batch.rows - 1].ran += ran;
  }
  // Whoever is told of an answer may want the cores for the next request.
  for (QueuedTask& answered : batch.tasks) answered.on_cores = OnCores(/*counted=*/false);
  // The first answers wait for the last: microseconds each, and all of them waited for the batch.
  std::optional<GatheredAnswers> together;
  if (batch.tasks.size() > 1) together.emplace(batch.tasks.size());
  for (size_t i = 0; i < batch.tasks.size(); ++i)
    Complete(std::move(batch.tasks[i].task), std::move(batch.results[i]));
}

void InstanceBatcher::SweepLoop() {
  while (std::optional<std::vector<DroppedTask>> dropped = NextSweep()) CompleteAll(*std::move(dropped));
}

std::optional<std::vector<DroppedTask>> InstanceBatcher::NextSweep() {
  MutexLock lock(&mu_);
  while (!stopping_) {
    const absl::Time now = clock_.Now();
    if (now < sweep_at_) {
      clock_.WaitUntil(&sweep_sooner_, &mu_, sweep_at_);
      continue;
    }
    std::vector<DroppedTask> dropped;
    sweep_at_ = std::max(queue_.Sweep(now, kCancelPoll, &dropped), now + kSweepGrain);
    for (const DroppedTask& drop : dropped) Count(drop.why.code());
    return dropped;
  }
  return std::nullopt;
}

}  // namespace calserve
