#ifndef CALSERVE_SERVER_MAIN_SIGNALS_H_
#define CALSERVE_SERVER_MAIN_SIGNALS_H_

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace calserve {

// What the main thread waits for while the others serve. Made before any other thread, so that the signals
// are blocked in all of them.
class MainSignals final {
 public:
  MainSignals() {
    sigemptyset(&signals_);
    for (const int signal : {SIGTERM, SIGINT, kDevice}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    signal(SIGPIPE, SIG_IGN);
  }

  // A device does not answer any more: wakes Wait, the first time. From any thread.
  void TellDeviceLost() {
    if (!device_lost_.exchange(true)) kill(getpid(), kDevice);
  }
  bool device_lost() const { return device_lost_; }

  // SIGTERM or SIGINT; 0 once, when a device is lost.
  int Wait() const {
    while (true) {
      int signal = 0;
      sigwait(&signals_, &signal);
      if (signal != kDevice) return signal;
      if (device_lost_) return 0;  // Else somebody else sent it.
    }
  }

  // From now on SIGTERM and SIGINT end the process at once.
  void Unblock() const {
    sigset_t stops = signals_;
    sigdelset(&stops, kDevice);
    pthread_sigmask(SIG_UNBLOCK, &stops, nullptr);
  }

 private:
  static constexpr int kDevice = SIGUSR1;

  sigset_t signals_;
  std::atomic<bool> device_lost_{false};
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MAIN_SIGNALS_H_
