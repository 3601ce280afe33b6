#include "server/prediction/decode_pool.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/thread_name.h"
#include "server/batching/batch_policy.h"

namespace calserve {
namespace {

constexpr double kWeight = 0.2;  // of an image in the average
// What an image counts as at most, times the average: one that something held up says little of the next.
constexpr double kMostOfAverage = 4;

int ThreadsOf(const DecodingOptions& options) {
  return options.threads > 0 ? options.threads
                             : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace

absl::Status RequestLimits::Check(absl::Time now) const {
  if (cancel != nullptr && cancel->cancelled()) return absl::CancelledError("cancelled by the client");
  if (now > deadline) return absl::DeadlineExceededError("the deadline passed before the model was reached");
  if (now <= give_up) return absl::OkStatus();
  return WithReason(absl::ResourceExhaustedError(
                        absl::StrCat("the request was queued for ", absl::FormatDuration(now - received),
                                     ", longer than queue_timeout allows; retry with backoff")),
                    "QUEUE_TIMEOUT");
}

DecodePool::DecodePool(const DecodingOptions& options, const Clock& clock, const MonotonicClock& stopwatch)
    : options_(options),
      clock_(clock),
      stopwatch_(stopwatch),
      decoders_(ThreadsOf(options)),
      queue_(static_cast<size_t>(options.max_queued_images), options.max_queued_bytes) {
  for (int i = 0; i < decoders_; ++i) threads_.emplace_back([this] { DecodeLoop(); });
  threads_.emplace_back([this] { SweepLoop(); });
}

DecodePool::~DecodePool() {
  queue_.Close();
  MutexLock lock(&mu_);
  stopping_ = true;
  sweep_.SignalAll();
}

bool DecodePool::TrySubmit(absl::string_view model, const std::shared_ptr<const RequestLimits>& limits,
                           std::vector<Image> images) {
  std::vector<std::pair<Queued, int64_t>> queued;
  queued.reserve(images.size());
  for (Image& image : images) {
    const int64_t bytes = image.bytes;
    queued.emplace_back(Queued{limits, std::move(image)}, bytes);
  }
  const BoundedQueue<Queued>::Room room = {
      static_cast<size_t>(ShareOfQueue(options_.max_queued_images, limits->priority)),
      ShareOfQueue(options_.max_queued_bytes, limits->priority)};
  if (!queue_.TryPushAll(model, limits->priority, std::move(queued), room)) return false;
  MutexLock lock(&mu_);
  if (!watching_) sweep_.Signal();
  watching_ = true;
  return true;
}

absl::Duration DecodePool::ExpectedTime(absl::string_view model, int priority, int images) const {
  absl::Duration typical;
  {
    MutexLock lock(&mu_);
    if (busy_ < decoders_) return absl::ZeroDuration();
    typical = typical_;
  }
  const double ahead = static_cast<double>(queue_.ItemsUntil(model, priority, static_cast<size_t>(images)));
  return typical * std::max(1.0, ahead / decoders_);
}

absl::Duration DecodePool::ExpectedDecoding() const {
  MutexLock lock(&mu_);
  return typical_;
}

void DecodePool::DecodeLoop() {
  NameThread(kDecodeThread);
  while (std::optional<Queued> queued = queue_.Pop()) {
    const absl::Time start = stopwatch_.Now();
    {
      MutexLock lock(&mu_);
      ++busy_;
    }
    const absl::Time now = clock_.Now();
    absl::Status wanted = queued->limits->Check(now);
    const bool decoded = wanted.ok();
    std::move(queued->image.run)(std::move(wanted), now);
    queued.reset();  // Before the thread counts as idle.
    const absl::Duration took = stopwatch_.Now() - start;
    MutexLock lock(&mu_);
    --busy_;
    if (!decoded) continue;
    typical_ = typical_ == absl::ZeroDuration()
                   ? took
                   : typical_ + (std::min(took, typical_ * kMostOfAverage) - typical_) * kWeight;
  }
}

void DecodePool::SweepLoop() {
  while (true) {
    {
      MutexLock lock(&mu_);
      while (!watching_ && !stopping_) sweep_.Wait(&mu_);
      if (!stopping_) sweep_.WaitFor(&mu_, kSweepEvery);
      if (stopping_) return;
      watching_ = false;  // Before the look at the queue: what comes meanwhile sets it again.
    }
    Sweep();
    const bool more = queue_.size() > 0;
    MutexLock lock(&mu_);
    watching_ = watching_ || more;
  }
}

void DecodePool::Sweep() {
  const absl::Time now = clock_.Now();
  std::vector<Queued> unwanted =
      queue_.TakeIf([now](const Queued& queued) { return !queued.limits->Check(now).ok(); });
  for (Queued& queued : unwanted) {
    // A flag stays set, and `now` is that of before: it is unwanted still.
    absl::Status why = queued.limits->Check(now);
    std::move(queued.image.run)(std::move(why), now);
  }
}

}  // namespace calserve
