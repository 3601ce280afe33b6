#ifndef CALSERVE_TESTS_UNIT_FEEDBACK_KILL_PROTOCOL_H_
#define CALSERVE_TESTS_UNIT_FEEDBACK_KILL_PROTOCOL_H_

#include <atomic>
#include <cstdint>

// Between feedback_kill_test and feedback_kill_writer, the process that it kills. Arguments of the writer:
// data directory, file descriptor for acknowledgements, file with the CommitMark, sequence number at which
// every stream ends, and for each of the streams the sequence number at which it starts.
namespace calserve {

inline constexpr int kKillStreams = 8;

// In shared memory, so that it outlives the killed process.
struct CommitMark {
  std::atomic<uint32_t> open;  // 1 between the beginning and the end of Store::Append
};
static_assert(std::atomic<uint32_t>::is_always_lock_free);

// Written to the pipe, whole, when the stream's feedback before `end` is acknowledged.
struct LabelsKept {
  uint32_t stream, end;
};

// The prediction that `sequence` of `stream` labels.
inline uint64_t KillNumber(uint32_t stream, uint32_t sequence) { return (uint64_t{stream} << 32) | sequence; }
inline int32_t KillLabel(uint32_t sequence) { return static_cast<int32_t>(sequence % 10); }

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_FEEDBACK_KILL_PROTOCOL_H_
