#include "server/rpc/polling_threads.h"

#include <grpc/grpc.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/before_waiting.h"
#include "server/base/gathered_writes.h"
#include "server/base/monotonic_clock.h"
#include "server/base/mutex.h"
#include "server/base/on_cores.h"
#include "server/rpc/hybrid_poll.h"

extern "C" grpc_event __real_grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                                        void* reserved);

namespace calserve {
namespace {

std::atomic<int> most_polling{std::numeric_limits<int>::max()};
std::atomic<int64_t> spin_nanos{0};

// Whether the calling thread has gRPC's name for the threads of its callback API.
bool OfCallbackApi() {
  thread_local const bool is_one = [] {
    char name[16] = "";  // the kernel's limit
    pthread_getname_np(pthread_self(), name, sizeof name);
    return std::string_view(name) == "nexting_thread";
  }();
  return is_one;
}

// The threads of each completion queue of the callback API. Thread-safe.
class PollingThreadsOfQueues {
 public:
  // Returns when the calling thread may wait for events: at once, where fewer than most_polling do, else when
  // one of them leaves or the queue has ended.
  void Enter(const grpc_completion_queue* queue) {
    MutexLock lock(&mu_);
    Threads& threads = threads_[queue];
    ++threads.entered;
    while (!threads.ended && threads.polling >= most_polling) left_.Wait(&mu_);
    ++threads.polling;
  }
  void Leave(const grpc_completion_queue* queue, bool ended) {
    MutexLock lock(&mu_);
    Threads& threads = threads_[queue];
    threads.ended |= ended;
    --threads.polling;
    if (--threads.entered == 0) threads_.erase(queue);
    left_.SignalAll();
  }

 private:
  struct Threads {
    int entered = 0, polling = 0;
    bool ended = false;
  };

  Mutex mu_;
  CondVar left_;
  std::map<const grpc_completion_queue*, Threads> threads_ ABSL_GUARDED_BY(mu_);
};

PollingThreadsOfQueues& Queues() {
  static auto& queues = *new PollingThreadsOfQueues;  // never destroyed: threads may outlive main
  return queues;
}

// The calling thread's leave to wait for the events of one queue, until it ends.
class Place {
 public:
  Place() = default;
  ~Place() { GiveUp(/*ended=*/false); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  void Take(const grpc_completion_queue* queue) {
    if (queue == queue_) return;
    GiveUp(/*ended=*/false);
    Queues().Enter(queue);
    queue_ = queue;
  }
  void GiveUp(bool ended) {
    if (queue_ != nullptr) Queues().Leave(queue_, ended);
    queue_ = nullptr;
  }

 private:
  const grpc_completion_queue* queue_ = nullptr;
};

// A thread that was left work reads so much first at most, where there is always more to read.
constexpr int kMostEventsBeforeWork = 64;
constexpr absl::Duration kMostTimeBeforeWork = absl::Milliseconds(1);

// By default the kernel adds up to 50 µs, so that timers expire together.
void SleepWithoutSlack(absl::Duration duration) {
  [[maybe_unused]] thread_local const int set = prctl(PR_SET_TIMERSLACK, 1UL);  // ns; of this thread
  absl::SleepFor(duration);
}

// Looks for an event for `spin`, and sleeps through the part of it in which there have been none lately.
template <typename Look>
grpc_event Spin(absl::Duration spin, const Look& what_is_there) {
  thread_local HybridPoll poll;
  const MonotonicClock& clock = MonotonicClock::System();
  grpc_event event = what_is_there();
  if (event.type != GRPC_QUEUE_TIMEOUT) return event;
  const absl::Time begin = clock.Now();
  if (const absl::Duration nap = std::min(poll.Nap(), spin); nap > absl::ZeroDuration()) {
    SleepWithoutSlack(nap);
    poll.Overslept(clock.Now() - begin - nap);
    event = what_is_there();
    if (event.type != GRPC_QUEUE_TIMEOUT) {
      poll.Waited(absl::ZeroDuration());
      return event;
    }
  }
  while (event.type == GRPC_QUEUE_TIMEOUT && clock.Now() < begin + spin) {
    if (OnCores::Several()) return event;  // how long the wait would have been quiet was not seen
    event = what_is_there();
  }
  poll.Waited(event.type == GRPC_QUEUE_TIMEOUT ? absl::InfiniteDuration() : clock.Now() - begin);
  return event;
}

// With a place of its own, what was left for the thread, and the spin, and without the deadline after which
// gRPC's loop would rest.
grpc_event NextOfCallbackApi(grpc_completion_queue* queue) {
  thread_local Place place;
  thread_local WaitingThread thread;
  thread_local int events_before_work = 0;
  thread_local absl::Time read_until;
  place.Take(queue);
  const MonotonicClock& clock = MonotonicClock::System();
  const auto next = [queue](gpr_timespec deadline) {
    return __real_grpc_completion_queue_next(queue, deadline, nullptr);
  };
  const auto what_is_there = [&next] { return next(gpr_inf_past(GPR_CLOCK_REALTIME)); };
  grpc_event event = {.type = GRPC_QUEUE_TIMEOUT};
  while (thread.has_work() && event.type == GRPC_QUEUE_TIMEOUT) {
    if (events_before_work == 0) read_until = clock.Now() + kMostTimeBeforeWork;
    if (events_before_work < kMostEventsBeforeWork && clock.Now() <= read_until) event = what_is_there();
    ++events_before_work;
    if (event.type == GRPC_OP_COMPLETE) break;
    events_before_work = 0;
    thread.Run();
  }
  while (event.type == GRPC_QUEUE_SHUTDOWN && thread.has_work()) thread.Run();
  const absl::Duration spin = absl::Nanoseconds(spin_nanos.load());
  if (event.type == GRPC_QUEUE_TIMEOUT && spin > absl::ZeroDuration() && !OnCores::Several()) {
    event = Spin(spin, what_is_there);
  }
  if (event.type == GRPC_QUEUE_TIMEOUT) event = next(gpr_inf_future(GPR_CLOCK_REALTIME));
  if (event.type == GRPC_QUEUE_SHUTDOWN) place.GiveUp(/*ended=*/true);
  return event;
}

// To hand over so few takes longer than it saves (measured).
constexpr size_t kMostGivenHere = 2;

// The tag of an event that has its polling thread give `answers`.
struct AnswersToGive final : grpc_completion_queue_functor {
  AnswersToGive() : grpc_completion_queue_functor{.functor_run = GiveAll, .inlineable = true} {}

  static void GiveAll(grpc_completion_queue_functor* tag, int /*ok*/) {
    const std::unique_ptr<AnswersToGive> here(static_cast<AnswersToGive*>(tag));
    const GatheredWrites together;
    for (GatheredAnswers::Answer& answer : here->answers) answer();
  }

  std::vector<GatheredAnswers::Answer> answers;
};

}  // namespace

void LimitPollingThreads(int threads) { most_polling = std::max(1, threads); }
void SpinPollingThreads(absl::Duration spin) { spin_nanos = absl::ToInt64Nanoseconds(spin); }

void GiveWherePolled(grpc_call* call, std::vector<GatheredAnswers::Answer> answers) {
  if (answers.size() > kMostGivenHere && !OfCallbackApi()) {
    std::unique_ptr<AnswersToGive> event(new (std::nothrow) AnswersToGive);
    if (event != nullptr) {
      event->answers = std::move(answers);
      // A batch of no operations is done at once: it puts the event into the queue of the call. The polling
      // thread may have given the answers, and the call may be gone, before this returns.
      if (grpc_call_start_batch(call, nullptr, /*nops=*/0, event.get(), nullptr) == GRPC_CALL_OK) {
        static_cast<void>(event.release());
        return;
      }
      answers = std::move(event->answers);
    }
  }
  for (GatheredAnswers::Answer& answer : answers) answer();
}

bool KeepForBatch(grpc_call* call, GatheredAnswers::Answer answer) {
  return GatheredAnswers::Keep(std::move(answer), [call](std::vector<GatheredAnswers::Answer> answers) {
    GiveWherePolled(call, std::move(answers));
  });
}

}  // namespace calserve

// gRPC calls this instead of its own function: --wrap, in CMakeLists.txt.
extern "C" grpc_event __wrap_grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                                        void* reserved) {
  return calserve::OfCallbackApi() ? calserve::NextOfCallbackApi(queue)
                                   : __real_grpc_completion_queue_next(queue, deadline, reserved);
}
