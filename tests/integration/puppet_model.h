#ifndef CALSERVE_TESTS_INTEGRATION_PUPPET_MODEL_H_
#define CALSERVE_TESTS_INTEGRATION_PUPPET_MODEL_H_

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"
#include "server/model/model.h"

namespace calserve::integration {

// A model whose logits are its input, and that runs a batch only when it is let. Thread-safe.
class PuppetModel final : public Model {
 public:
  PuppetModel(int classes, int max_batch_size) : staging_(static_cast<size_t>(classes) * max_batch_size) {
    options_.name = "puppet";
    options_.version = 1;
    options_.input_shape = {classes};
    options_.classes = classes;
    options_.max_batch_size = max_batch_size;
  }

  // From now on a batch that has begun waits for Release.
  void Hold() {
    MutexLock lock(&mu_);
    held_ = true;
  }
  void Release() {
    MutexLock lock(&mu_);
    held_ = false;
    changed_.SignalAll();
  }
  // From now on every batch ends with this.
  void Break(absl::Status status) {
    MutexLock lock(&mu_);
    broken_ = std::move(status);
  }
  // Waits until a batch has begun and is held.
  bool WaitUntilHolding(absl::Duration timeout = absl::Seconds(20)) {
    const absl::Time deadline = absl::Now() + timeout;
    MutexLock lock(&mu_);
    while (!holding_ && absl::Now() < deadline) changed_.WaitFor(&mu_, deadline - absl::Now());
    return holding_;
  }
  // The first value of every row that was run, in order.
  std::vector<float> rows_run() const {
    MutexLock lock(&mu_);
    return rows_run_;
  }

  using Model::Staging;
  absl::Span<float> Staging(int, int) override { return absl::MakeSpan(staging_); }
  absl::Status Start(int, int, int) override { return absl::OkStatus(); }
  absl::Status Finish(int, int, int rows, absl::Span<float> logits) override {
    MutexLock lock(&mu_);
    if (!broken_.ok()) return broken_;
    for (int row = 0; row < rows; ++row) rows_run_.push_back(staging_[row * columns()]);
    while (held_) {
      holding_ = true;
      changed_.SignalAll();
      changed_.Wait(&mu_);
    }
    holding_ = false;
    std::copy_n(staging_.begin(), rows * columns(), logits.begin());
    return absl::OkStatus();
  }
  int columns() const override { return options_.classes; }
  const ModelOptions& options() const override { return options_; }
  const std::string& format() const override { return format_; }
  const std::string& device() const override { return device_; }
  const std::string& digest() const override { return digest_; }

 private:
  ModelOptions options_;
  const std::string format_ = "puppet", device_ = "cpu", digest_ = "00";
  std::vector<float> staging_;  // of the one instance

  mutable Mutex mu_;
  CondVar changed_;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  bool holding_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status broken_ ABSL_GUARDED_BY(mu_);
  std::vector<float> rows_run_ ABSL_GUARDED_BY(mu_);
};

}  // namespace calserve::integration

#endif  // CALSERVE_TESTS_INTEGRATION_PUPPET_MODEL_H_
