#ifndef CALSERVE_SERVER_RPC_STREAM_WINDOW_H_
#define CALSERVE_SERVER_RPC_STREAM_WINDOW_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace calserve {

// Whether a stream reads one more request, by what those before it hold: at most `most` between read and
// written, 64 MiB of requests that are not answered, and 16 MiB of answers that are not written. How large
// the answers of requests under way will be is not known, so they count as the largest of late, and there are
// 8 of them at first, twice as many with each answer. One request may always be under way. Not thread-safe.
class StreamWindow final {
 public:
  explicit StreamWindow(size_t most) : most_(most), now_(std::min<size_t>(most, 8)) {}

  bool MayRead() const {
    if (open_ == 0) return true;
    return open_ < now_ && held_ < kMostHeld &&
           unwritten_ + unanswered_ * static_cast<int64_t>(largest_) < kMostUnwritten;
  }
  void Read(int64_t bytes) {
    ++open_;
    ++unanswered_;
    held_ += bytes;
  }
  void Answered(int64_t request_bytes, size_t answer_bytes) {
    --unanswered_;
    held_ -= request_bytes;
    unwritten_ += static_cast<int64_t>(answer_bytes);
    largest_ = std::max(answer_bytes, largest_ - largest_ / 8);
    now_ = std::min(most_, 2 * now_);
  }
  void Written(size_t answer_bytes) {
    --open_;
    unwritten_ -= static_cast<int64_t>(answer_bytes);
  }

 private:
  static constexpr int64_t kMostHeld = 64 << 20, kMostUnwritten = 16 << 20;  // bytes

  const size_t most_;
  size_t now_;
  size_t open_ = 0;
  int64_t unanswered_ = 0;
  int64_t held_ = 0, unwritten_ = 0;
  size_t largest_ = 0;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_STREAM_WINDOW_H_
