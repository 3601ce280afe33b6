#ifndef CALSERVE_SERVER_MAIN_SIGNALS_H_
#define CALSERVE_SERVER_MAIN_SIGNALS_H_

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace calserve {

// What the main thread waits for while the others work. The first SIGTERM, SIGINT or SIGHUP (a terminal
// that is closed) is noted, a second one ends the process at once, whatever it is doing. SIGHUP stays ignored
// where it is (nohup). One of it in a process.
class MainSignals final {
 public:
  MainSignals() {
    sem_init(&wakes_, /*pshared=*/0, 0);
    struct sigaction action = {};
    action.sa_handler = OnStop;
    action.sa_flags = SA_RESTART | SA_NODEFER;
    sigset_t stops;
    sigemptyset(&stops);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
      struct sigaction before = {};
      sigaction(signal, nullptr, &before);
      if (signal == SIGHUP && before.sa_handler == SIG_IGN) continue;
      sigaction(signal, &action, nullptr);
      sigaddset(&stops, signal);
    }
    pthread_sigmask(SIG_UNBLOCK, &stops, nullptr);  // Whoever started the process may have blocked them.
  }
  MainSignals(const MainSignals&) = delete;
  MainSignals& operator=(const MainSignals&) = delete;

  // The first of them; 0: none yet.
  int stop() const { return stop_; }

  // A device does not answer any more. From any thread.
  void TellDeviceLost() {
    if (!device_lost_.exchange(true)) Wake();
  }
  bool device_lost() const { return device_lost_; }

  // Something that the main thread waits for is done. From any thread.
  void Wake() { sem_post(&wakes_); }
  // Returns once for each of: the first signal, the loss of a device, a Wake.
  void Wait() {
    while (sem_wait(&wakes_) != 0) {  // EINTR
    }
  }

 private:
  // Only what is async-signal-safe.
  static void OnStop(int signal) {
    int none = 0;
    if (stop_.compare_exchange_strong(none, signal)) {
      const int interrupted = errno;
      sem_post(&wakes_);
      errno = interrupted;
      return;
    }
    ::signal(signal, SIG_DFL);
    raise(signal);
    _exit(128 + signal);  // The first process of a container is not killed by its own signals.
  }

  inline static std::atomic<int> stop_ = 0;
  static_assert(std::atomic<int>::is_always_lock_free);
  inline static sem_t wakes_;
  std::atomic<bool> device_lost_{false};
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_MAIN_SIGNALS_H_
