#include "server/batching/instance_pipeline.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/byte_pieces.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

absl::Status Caught(const std::function<absl::Status()>& run) {
  try {
    return run();
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("the forward pass failed: ", e.what()));
  } catch (...) {
    return absl::InternalError("the forward pass failed");
  }
}

// What a batch's outcome means for one task of it, whose logits are `own`: only DATA_LOSS is not everybody's.
absl::Status OutcomeOfTask(const absl::Status& batch, absl::Span<const float> own, int columns) {
  if (!absl::IsDataLoss(batch)) return batch;
  const auto bad = std::find_if(own.begin(), own.end(), [](float logit) { return !std::isfinite(logit); });
  if (bad == own.end()) return absl::OkStatus();
  return WithReason(absl::InternalError(absl::StrCat("the model gave a logit that is not finite for row ",
                                                     (bad - own.begin()) / columns, " of this request")),
                    "LOGITS_NOT_FINITE");
}

}  // namespace

InstancePipeline::InstancePipeline(const BatchRunner& runner, const MonotonicClock& clock, int max_batch_size,
                                   int instance)
    : runner_(runner),
      clock_(clock),
      instance_(instance),
      logits_(static_cast<size_t>(max_batch_size) * runner.columns) {}

absl::Status InstancePipeline::Prepare() {
  return Caught([&] { return runner_.prepare != nullptr ? runner_.prepare(instance_) : absl::OkStatus(); });
}

void InstancePipeline::Start(std::vector<QueuedTask> tasks, DeviceTurns::Turn turn) {
  Started batch{.tasks = std::move(tasks), .slot = next_slot_, .at = clock_.Now(), .turn = std::move(turn)};
  next_slot_ = (next_slot_ + 1) % runner_.slots;
  for (const QueuedTask& queued : batch.tasks) batch.rows += queued.task.rows;
  batch.status = Caught([&] {
    char* rows = reinterpret_cast<char*>(runner_.staging(instance_, batch.slot).data());
    for (const QueuedTask& queued : batch.tasks) rows = CopyPieces(queued.task.input, rows);
    return runner_.start(instance_, batch.slot, batch.rows);
  });
  under_way_.push_back(std::move(batch));
}

FinishedBatch InstancePipeline::Finish() {
  Started batch = std::move(under_way_.front());
  under_way_.pop_front();
  const auto logits = absl::MakeSpan(logits_).first(static_cast<size_t>(batch.rows) * runner_.columns);
  if (batch.status.ok()) {
    batch.status = Caught([&] { return runner_.finish(instance_, batch.slot, batch.rows, logits); });
  }
  batch.turn.GiveBack();
  const absl::Time now = clock_.Now();
  const absl::Time began = std::max(batch.at, last_finished_);  // The one before had the device until then.
  FinishedBatch finished{.rows = batch.rows, .ran = now - began};
  last_finished_ = now;
  finished.complete = batch.status.ok() || absl::IsDataLoss(batch.status);

  finished.results.reserve(batch.tasks.size());
  absl::Span<const float> rest = logits;
  for (const QueuedTask& queued : batch.tasks) {
    const absl::Span<const float> own = rest.first(static_cast<size_t>(queued.task.rows) * runner_.columns);
    rest.remove_prefix(own.size());
    absl::Status outcome = OutcomeOfTask(batch.status, own, runner_.columns);
    if (!outcome.ok()) ++finished.failed;
    if (outcome.ok()) {
      finished.results.push_back(BatchResult{{own.begin(), own.end()},
                                             began - queued.enqueued,
                                             finished.ran,
                                             static_cast<double>(queued.task.rows) / batch.rows});
    } else {
      finished.results.push_back(std::move(outcome));
    }
  }
  finished.tasks = std::move(batch.tasks);
  return finished;
}

}  // namespace calserve
