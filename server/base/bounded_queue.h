#ifndef CALSERVE_SERVER_BASE_BOUNDED_QUEUE_H_
#define CALSERVE_SERVER_BASE_BOUNDED_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"

namespace calserve {

// A first-in-first-out queue between threads, bounded in items and in bytes. Thread-safe. After Close()
// nothing more goes in; Pop() hands out what is left, then nullopt.
template <typename T>
class BoundedQueue {
 public:
  // An item counts as the bytes that its TryPush says. A single item over max_bytes never fits.
  BoundedQueue(size_t max_items, int64_t max_bytes) : max_items_(max_items), max_bytes_(max_bytes) {}

  // False, with `item` untouched, when it does not fit or the queue is closed. Never waits.
  bool TryPush(T&& item, int64_t bytes = 0) {
    MutexLock lock(&mu_);
    if (closed_ || items_.size() >= max_items_ || bytes > max_bytes_ - bytes_) return false;
    items_.emplace_back(std::move(item), bytes);
    bytes_ += bytes;
    not_empty_.Signal();
    return true;
  }

  // All of the items, each with its bytes, or none: false with `items` untouched. Never waits.
  bool TryPushAll(std::vector<std::pair<T, int64_t>>&& items) {
    int64_t bytes = 0;
    for (const auto& [item, item_bytes] : items) bytes += item_bytes;
    MutexLock lock(&mu_);
    if (closed_ || items.size() > max_items_ - items_.size() || bytes > max_bytes_ - bytes_) return false;
    for (auto& item : items) items_.push_back(std::move(item));
    bytes_ += bytes;
    not_empty_.SignalAll();
    return true;
  }

  // Waits for an item; nullopt once the queue is closed and empty.
  std::optional<T> Pop() {
    MutexLock lock(&mu_);
    while (items_.empty() && !closed_) not_empty_.Wait(&mu_);
    if (items_.empty()) return std::nullopt;
    auto [item, bytes] = std::move(items_.front());
    items_.pop_front();
    bytes_ -= bytes;
    return std::optional<T>(std::move(item));
  }

  void Close() {
    MutexLock lock(&mu_);
    closed_ = true;
    not_empty_.SignalAll();
  }

  size_t size() const {
    MutexLock lock(&mu_);
    return items_.size();
  }

 private:
  const size_t max_items_;
  const int64_t max_bytes_;
  mutable Mutex mu_;
  CondVar not_empty_;
  std::deque<std::pair<T, int64_t>> items_ ABSL_GUARDED_BY(mu_);
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_BOUNDED_QUEUE_H_
