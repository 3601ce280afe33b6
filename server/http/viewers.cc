#include "server/http/viewers.h"

#include <chrono>

#include "absl/strings/str_cat.h"

namespace calserve {
namespace {

absl::Duration SteadyNow() { return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch()); }

}  // namespace

std::unique_ptr<Viewers::Seat> Viewers::TryTake() {
  MutexLock lock(&mu_);
  if (stopping_ || taken_ >= most_) return nullptr;
  ++taken_;
  return std::make_unique<Seat>(*this);
}

void Viewers::Leave() {
  MutexLock lock(&mu_);
  --taken_;
}

bool Viewers::Wait(absl::Duration duration) {
  const absl::Duration until = SteadyNow() + duration;
  MutexLock lock(&mu_);
  while (!stopping_) {
    const absl::Duration left = until - SteadyNow();
    if (left <= absl::ZeroDuration()) return true;
    stopped_.WaitFor(&mu_, left);
  }
  return false;
}

void Viewers::Stop() {
  MutexLock lock(&mu_);
  stopping_ = true;
  stopped_.SignalAll();
}

void StreamEvents(Viewers& viewers, const StreamTimes& times,
                  absl::FunctionRef<std::shared_ptr<const std::string>()> newest,
                  absl::FunctionRef<bool(const std::string&)> write) {
  std::shared_ptr<const std::string> written;
  absl::Duration written_at = SteadyNow();
  do {
    const std::shared_ptr<const std::string> message = newest();
    if (message == nullptr) return;
    if (written == nullptr || *message != *written) {
      if (!write(absl::StrCat("event: state\ndata: ", *message, "\n\n"))) return;
      written = message;
      written_at = SteadyNow();
    } else if (SteadyNow() - written_at >= times.heartbeat) {
      if (!write(": alive\n\n")) return;
      written_at = SteadyNow();
    }
  } while (viewers.Wait(times.interval));
  write("event: end\ndata: {}\n\n");
}

}  // namespace calserve
