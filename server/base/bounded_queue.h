#ifndef CALSERVE_SERVER_BASE_BOUNDED_QUEUE_H_
#define CALSERVE_SERVER_BASE_BOUNDED_QUEUE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "server/base/mutex.h"

namespace calserve {

// A queue between threads, bounded in items and in bytes. Items may be put into lanes, each bounded and
// first-in first-out by itself: lanes are served in turn, so that one which is flooded delays and refuses no
// other. A lane is there while it holds an item. Thread-safe. After Close() nothing more goes in; Pop() hands
// out what is left, then nullopt.
template <typename T>
class BoundedQueue {
 public:
  // Of every lane. An item counts as the bytes that its TryPush says. A single item over max_bytes never
  // fits.
  BoundedQueue(size_t max_items, int64_t max_bytes) : max_items_(max_items), max_bytes_(max_bytes) {}

  // False, with `item` untouched, when it does not fit or the queue is closed. Never waits. Lane "".
  bool TryPush(T&& item, int64_t bytes = 0) {
    MutexLock lock(&mu_);
    Lane* const lane = LaneWithRoom("", 1, bytes);
    if (lane == nullptr) return false;
    lane->items.emplace_back(std::move(item), bytes);
    lane->bytes += bytes;
    not_empty_.Signal();
    return true;
  }

  // All of the items, each with its bytes, or none: false with `items` untouched. Never waits.
  bool TryPushAll(absl::string_view lane_name, std::vector<std::pair<T, int64_t>>&& items) {
    int64_t bytes = 0;
    for (const auto& [item, item_bytes] : items) bytes += item_bytes;
    MutexLock lock(&mu_);
    Lane* const lane = LaneWithRoom(lane_name, items.size(), bytes);
    if (lane == nullptr) return false;
    for (auto& item : items) lane->items.push_back(std::move(item));
    lane->bytes += bytes;
    not_empty_.SignalAll();
    return true;
  }

  // Waits for an item; nullopt once the queue is closed and empty.
  std::optional<T> Pop() {
    MutexLock lock(&mu_);
    while (turns_.empty() && !closed_) not_empty_.Wait(&mu_);
    if (turns_.empty()) return std::nullopt;
    const auto lane = turns_.front();
    turns_.pop_front();
    auto [item, bytes] = std::move(lane->second.items.front());
    lane->second.items.pop_front();
    lane->second.bytes -= bytes;
    if (lane->second.items.empty()) {
      lanes_.erase(lane);
    } else {
      turns_.push_back(lane);
    }
    return std::optional<T>(std::move(item));
  }

  // Takes out every item for which `unwanted` is true, in the order of each lane. `unwanted` must not use the
  // queue.
  template <typename Predicate>
  std::vector<T> TakeIf(Predicate unwanted) {
    std::vector<T> taken;
    MutexLock lock(&mu_);
    for (auto lane = lanes_.begin(); lane != lanes_.end();) {
      std::deque<std::pair<T, int64_t>> kept;
      for (auto& [item, bytes] : lane->second.items) {
        if (unwanted(item)) {
          taken.push_back(std::move(item));
          lane->second.bytes -= bytes;
        } else {
          kept.emplace_back(std::move(item), bytes);
        }
      }
      lane->second.items = std::move(kept);
      const auto next = std::next(lane);
      if (lane->second.items.empty()) {
        turns_.erase(std::find(turns_.begin(), turns_.end(), lane));
        lanes_.erase(lane);
      }
      lane = next;
    }
    return taken;
  }

  // How many items are handed out until `more` have been that would be put into a lane now, if nothing else
  // comes.
  size_t ItemsUntil(absl::string_view lane_name, size_t more) const {
    MutexLock lock(&mu_);
    const auto there = lanes_.find(lane_name);
    const size_t turns = more + (there == lanes_.end() ? 0 : there->second.items.size());
    size_t items = turns;
    for (auto lane = lanes_.begin(); lane != lanes_.end(); ++lane) {
      if (lane != there) items += std::min(turns, lane->second.items.size());
    }
    return items;
  }

  void Close() {
    MutexLock lock(&mu_);
    closed_ = true;
    not_empty_.SignalAll();
  }

  // Items in all lanes.
  size_t size() const {
    MutexLock lock(&mu_);
    size_t items = 0;
    for (const auto& [name, lane] : lanes_) items += lane.items.size();
    return items;
  }

 private:
  struct Lane {
    std::deque<std::pair<T, int64_t>> items;
    int64_t bytes = 0;
  };
  using Lanes = std::map<std::string, Lane, std::less<>>;

  // The lane, with its turn, if so much more fits into it; else null. What is asked for must then be put in.
  Lane* LaneWithRoom(absl::string_view name, size_t items, int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (closed_ || items == 0) return nullptr;
    const auto there = lanes_.find(name);
    const size_t held = there == lanes_.end() ? 0 : there->second.items.size();
    const int64_t held_bytes = there == lanes_.end() ? 0 : there->second.bytes;
    if (items > max_items_ - held || bytes > max_bytes_ - held_bytes) return nullptr;
    if (there != lanes_.end()) return &there->second;
    turns_.push_back(lanes_.emplace(std::string(name), Lane()).first);
    return &turns_.back()->second;
  }

  const size_t max_items_;
  const int64_t max_bytes_;
  mutable Mutex mu_;
  CondVar not_empty_;
  Lanes lanes_ ABSL_GUARDED_BY(mu_);                                 // those that hold an item
  std::deque<typename Lanes::iterator> turns_ ABSL_GUARDED_BY(mu_);  // every lane once, the next first
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_BOUNDED_QUEUE_H_
