#ifndef CALSERVE_SERVER_HTTP_VIEWERS_H_
#define CALSERVE_SERVER_HTTP_VIEWERS_H_

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"
#include "server/http/dashboard_options.h"

namespace calserve {

// How many watch at the same time, and when they are to end. Thread-safe.
class Viewers final {
 public:
  explicit Viewers(int most) : most_(most) {}

  // Held for as long as one watches. The Viewers outlive it.
  class Seat final {
   public:
    explicit Seat(Viewers& of) : of_(of) {}
    ~Seat() { of_.Leave(); }
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;

   private:
    Viewers& of_;
  };
  // Null where all seats are taken, and once stopped.
  std::unique_ptr<Seat> TryTake();

  // Waits; false as soon as Stop was called.
  bool Wait(absl::Duration duration);
  void Stop();

 private:
  void Leave();

  const int most_;
  Mutex mu_;
  CondVar stopped_;
  int taken_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

// Writes a stream of events (text/event-stream) until it cannot be written, or `viewers` stop: the newest
// message once an interval where it is another one than before, and a comment as a heartbeat where nothing
// was written for as long. Nothing is queued: who reads slowly misses what was replaced meanwhile. Ends with
// the event "end" where the viewers stop.
//   newest    the message now, one line; null: it is not to be seen any more, and the stream ends
//   write     false where the client is gone
void StreamEvents(Viewers& viewers, const StreamTimes& times,
                  absl::FunctionRef<std::shared_ptr<const std::string>()> newest,
                  absl::FunctionRef<bool(const std::string&)> write);

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_VIEWERS_H_
