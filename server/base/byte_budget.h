#ifndef CALSERVE_SERVER_BASE_BYTE_BUDGET_H_
#define CALSERVE_SERVER_BASE_BYTE_BUDGET_H_

#include <atomic>
#include <cstdint>
#include <utility>

namespace calserve {

// Bytes of memory that many may have a share of, up to a limit of all of them together. Thread-safe.
class ByteBudget {
 public:
  explicit ByteBudget(int64_t limit) : limit_(limit) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  // What is taken already stays so.
  void SetLimit(int64_t limit) { limit_ = limit; }
  int64_t limit() const { return limit_; }
  int64_t taken() const { return taken_; }

  // What one has taken, given back when it is destroyed; at first nothing. Not thread-safe.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Share() {
      if (budget_ != nullptr) budget_->taken_ -= bytes_;
    }

    int64_t bytes() const { return bytes_; }

    // Takes `bytes` more of `budget`, which outlives the share and is always the same. False, and nothing is
    // taken, where that many are not left.
    bool Take(ByteBudget& budget, int64_t bytes) {
      int64_t taken = budget.taken_;
      do {
        if (taken + bytes > budget.limit_) return false;
      } while (!budget.taken_.compare_exchange_weak(taken, taken + bytes));
      budget_ = &budget;
      bytes_ += bytes;
      return true;
    }
    // The same whatever is left.
    void TakeAnyway(ByteBudget& budget, int64_t bytes) {
      budget.taken_ += bytes;
      budget_ = &budget;
      bytes_ += bytes;
    }

   private:
    ByteBudget* budget_ = nullptr;
    int64_t bytes_ = 0;
  };

 private:
  std::atomic<int64_t> limit_, taken_{0};
};

// Of this process, as memory is: messages of clients from when they are whole until their calls are answered,
// and answers from when they are written until they are sent, which is when the client reads them.
ByteBudget& ReceivedBytes();
ByteBudget& UnsentBytes();

}  // namespace calserve

#endif  // CALSERVE_SERVER_BASE_BYTE_BUDGET_H_
