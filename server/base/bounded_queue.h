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

// A queue between threads, bounded in items and in bytes. Items may be put into lanes, each bounded by
// itself: lanes are served in turn, so that one which is flooded delays and refuses no other. Of a lane its
// levels are served in turn, each first-in first-out. A lane is there while it holds an item. Thread-safe.
// After Close() nothing more goes in; Pop() hands out what is left, then nullopt.
template <typename T>
class BoundedQueue {
 public:
  // Of every lane. An item counts as the bytes that its TryPush says. A single item over max_bytes never
  // fits.
  BoundedQueue(size_t max_items, int64_t max_bytes) : max_items_(max_items), max_bytes_(max_bytes) {}

  // False, with `item` untouched, when it does not fit or the queue is closed. Never waits. Lane "".
  bool TryPush(T&& item, int64_t bytes = 0) {
    MutexLock lock(&mu_);
    Lane* const lane = LaneWithRoom("", 1, bytes, {max_items_, max_bytes_});
    if (lane == nullptr) return false;
    lane->levels[0].emplace_back(std::move(item), bytes);
    lane->items += 1;
    lane->bytes += bytes;
    not_empty_.Signal();
    return true;
  }

  // All of the items, each with its bytes, or none: false with `items` untouched. Never waits. Level 0.
  bool TryPushAll(absl::string_view lane, std::vector<std::pair<T, int64_t>>&& items) {
    return TryPushAll(lane, 0, std::move(items), {max_items_, max_bytes_});
  }
  // The same of a level; they do not go into a lane, unless it is empty, that would then hold more than
  // `room`.
  struct Room {
    size_t items = 0;
    int64_t bytes = 0;
  };
  bool TryPushAll(absl::string_view lane_name, int level, std::vector<std::pair<T, int64_t>>&& items,
                  Room room) {
    int64_t bytes = 0;
    for (const auto& [item, item_bytes] : items) bytes += item_bytes;
    MutexLock lock(&mu_);
    Lane* const lane = LaneWithRoom(lane_name, items.size(), bytes, room);
    if (lane == nullptr) return false;
    std::deque<std::pair<T, int64_t>>& to = lane->levels[level];
    for (auto& item : items) to.push_back(std::move(item));
    lane->items += items.size();
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
    auto [item, bytes] = lane->second.Take();
    if (lane->second.items == 0) {
      lanes_.erase(lane);
    } else {
      turns_.push_back(lane);
    }
    return std::optional<T>(std::move(item));
  }

  // Takes out every item for which `unwanted` is true, in the order of each level of each lane. `unwanted`
  // must not use the queue.
  template <typename Predicate>
  std::vector<T> TakeIf(Predicate unwanted) {
    std::vector<T> taken;
    MutexLock lock(&mu_);
    for (auto lane = lanes_.begin(); lane != lanes_.end();) {
      for (auto level = lane->second.levels.begin(); level != lane->second.levels.end();) {
        std::deque<std::pair<T, int64_t>> kept;
        for (auto& [item, bytes] : level->second) {
          if (unwanted(item)) {
            taken.push_back(std::move(item));
            lane->second.items -= 1;
            lane->second.bytes -= bytes;
          } else {
            kept.emplace_back(std::move(item), bytes);
          }
        }
        level->second = std::move(kept);
        level = level->second.empty() ? lane->second.levels.erase(level) : std::next(level);
      }
      const auto next = std::next(lane);
      if (lane->second.items == 0) {
        turns_.erase(std::find(turns_.begin(), turns_.end(), lane));
        lanes_.erase(lane);
      }
      lane = next;
    }
    return taken;
  }

  // How many items at most are handed out until `more` have been that would be put into a level of a lane
  // now, if nothing else comes.
  size_t ItemsUntil(absl::string_view lane_name, int level, size_t more) const {
    MutexLock lock(&mu_);
    const auto there = lanes_.find(lane_name);
    const size_t turns = there == lanes_.end() ? more : there->second.ItemsUntil(level, more);
    size_t items = turns;
    for (auto lane = lanes_.begin(); lane != lanes_.end(); ++lane) {
      if (lane != there) items += std::min(turns, lane->second.items);
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
    for (const auto& [name, lane] : lanes_) items += lane.items;
    return items;
  }

 private:
  struct Lane {
    std::map<int, std::deque<std::pair<T, int64_t>>> levels;  // those that hold an item
    std::optional<int> last;                                  // the level that was served
    size_t items = 0;
    int64_t bytes = 0;

    std::pair<T, int64_t> Take() {
      auto level = last.has_value() ? levels.upper_bound(*last) : levels.begin();
      if (level == levels.end()) level = levels.begin();
      last = level->first;
      std::pair<T, int64_t> taken = std::move(level->second.front());
      level->second.pop_front();
      if (level->second.empty()) levels.erase(level);
      items -= 1;
      bytes -= taken.second;
      return taken;
    }
    size_t ItemsUntil(int level, size_t more) const {
      const auto there = levels.find(level);
      const size_t turns = more + (there == levels.end() ? 0 : there->second.size());
      size_t until = turns;
      for (const auto& [other, waiting] : levels) {
        if (other != level) until += std::min(turns, waiting.size());
      }
      return until;
    }
  };
  using Lanes = std::map<std::string, Lane, std::less<>>;

  // The lane, with its turn, if so much more fits into it; else null. What is asked for must then be put in.
  Lane* LaneWithRoom(absl::string_view name, size_t items, int64_t bytes, Room room)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (closed_ || items == 0) return nullptr;
    const auto there = lanes_.find(name);
    if (there != lanes_.end()) {
      Lane& lane = there->second;
      return lane.items + items <= room.items && lane.bytes + bytes <= room.bytes ? &lane : nullptr;
    }
    if (items > max_items_ || bytes > max_bytes_) return nullptr;
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
