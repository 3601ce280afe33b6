#ifndef CALSERVE_TESTS_UNIT_BATCHING_PUPPET_MODEL_H_
#define CALSERVE_TESTS_UNIT_BATCHING_PUPPET_MODEL_H_

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/base/mutex.h"
#include "server/batching/batcher.h"

namespace calserve {

// A row of it.
inline constexpr absl::string_view kZeroRow("\0\0\0\0", sizeof(float));

// A model that finishes a batch only when told. The logits of a row (x) are (x, x + 0.5). Thread-safe.
class PuppetModel {
 public:
  static constexpr int kColumns = 2;

  PuppetModel(int instances, int max_batch_size, int slots = 1)
      : slots_(slots), staging_(instances * slots, std::vector<float>(max_batch_size)) {}

  BatchRunner Runner() {
    return {.slots = slots_,
            .staging = [this](int instance, int slot) { return absl::MakeSpan(Staging(instance, slot)); },
            .start = [this](int, int, int rows) { return Start(rows); },
            .finish = [this](int instance, int slot, int,
                             absl::Span<float> logits) { return Finish(instance, slot, logits); },
            .row_size = 1,
            .columns = kColumns};
  }

  // Waits until `batches` batches have reached the model since it was made.
  void AwaitBatches(size_t batches) {
    MutexLock lock(&mu_);
    while (batch_sizes_.size() < batches) changed_.Wait(&mu_);
  }
  // Waits until a batch is being waited for.
  void AwaitFinish() {
    MutexLock lock(&mu_);
    while (!waited_for_) changed_.Wait(&mu_);
  }
  // Lets one batch finish, which may yet have to come.
  void FinishOne() {
    MutexLock lock(&mu_);
    ++may_finish_;
    changed_.SignalAll();
  }
  // From now on every batch finishes at once.
  void FinishAll() {
    MutexLock lock(&mu_);
    free_running_ = true;
    changed_.SignalAll();
  }
  // From now on a batch finishes only when told, again.
  void HoldAll() {
    MutexLock lock(&mu_);
    free_running_ = false;
  }
  // Starting `batch` (counted from 0) fails.
  void FailStart(size_t batch, absl::Status status) {
    MutexLock lock(&mu_);
    starts_[batch] = std::move(status);
  }
  // What `batch` (counted from 0) does after it has written its logits.
  void Script(size_t batch, std::function<absl::Status(absl::Span<float> logits)> ending) {
    MutexLock lock(&mu_);
    endings_[batch] = std::move(ending);
  }
  std::vector<int> batch_sizes() const {
    MutexLock lock(&mu_);
    return batch_sizes_;
  }

 private:
  std::vector<float>& Staging(int instance, int slot) { return staging_[instance * slots_ + slot]; }

  absl::Status Start(int rows) {
    MutexLock lock(&mu_);
    const auto failure = starts_.find(batch_sizes_.size());
    batch_sizes_.push_back(rows);
    changed_.SignalAll();
    return failure == starts_.end() ? absl::OkStatus() : failure->second;
  }

  absl::Status Finish(int instance, int slot, absl::Span<float> logits) {
    std::function<absl::Status(absl::Span<float>)> ending;
    {
      MutexLock lock(&mu_);
      waited_for_ = true;
      changed_.SignalAll();
      while (!free_running_ && may_finish_ == 0) changed_.Wait(&mu_);
      if (!free_running_) --may_finish_;
      if (auto it = endings_.find(finished_++); it != endings_.end()) ending = it->second;
    }
    const std::vector<float>& input = Staging(instance, slot);
    for (size_t row = 0; row < logits.size() / kColumns; ++row) {
      logits[row * kColumns] = input[row];
      logits[row * kColumns + 1] = input[row] + 0.5f;
    }
    return ending ? ending(logits) : absl::OkStatus();
  }

  const int slots_;
  std::vector<std::vector<float>> staging_;  // Each written by its instance only.
  mutable Mutex mu_;
  CondVar changed_;
  std::vector<int> batch_sizes_ ABSL_GUARDED_BY(mu_);
  size_t finished_ ABSL_GUARDED_BY(mu_) = 0;  // batches
  std::map<size_t, absl::Status> starts_ ABSL_GUARDED_BY(mu_);
  std::map<size_t, std::function<absl::Status(absl::Span<float>)>> endings_ ABSL_GUARDED_BY(mu_);
  bool waited_for_ ABSL_GUARDED_BY(mu_) = false;
  int may_finish_ ABSL_GUARDED_BY(mu_) = 0;
  bool free_running_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_BATCHING_PUPPET_MODEL_H_
