#ifndef CALSERVE_SERVER_BASE_ON_CORES_H_
#define CALSERVE_SERVER_BASE_ON_CORES_H_

#include <atomic>
#include <utility>

namespace calserve {

// While one lives, a request waits for the cores of this machine, or is computed on them. Where there are
// several, a thread that would only look for more leaves the cores to them and to their callers.
class OnCores final {
 public:
  // `counted`: false where a device computes.
  explicit OnCores(bool counted) : counted_(counted) {
    if (counted_) requests_.fetch_add(1, std::memory_order_relaxed);
  }
  ~OnCores() {
    if (counted_) requests_.fetch_sub(1, std::memory_order_relaxed);
  }
  OnCores(OnCores&& other) noexcept : counted_(std::exchange(other.counted_, false)) {}
  OnCores& operator=(OnCores&& other) noexcept {
    std::swap(counted_, other.counted_);
    return *this;
  }

  // Whether several live in this process. Any thread may ask.
  static bool Several() { return requests_.load(std::memory_order_relaxed) > 1; }

 private:
  inline static constinit std::atomic<int> requests_ = 0;
  bool counted_;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_ON_CORES_H_
