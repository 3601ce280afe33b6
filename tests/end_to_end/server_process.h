#ifndef CALSERVE_TESTS_END_TO_END_SERVER_PROCESS_H_
#define CALSERVE_TESTS_END_TO_END_SERVER_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"

namespace calserve::e2e {

// A child process of the test: started, watched and ended by its id, and dead when the test is. What it
// writes to stderr is kept. Start and use it on one thread.
class ChildProcess {
 public:
  // `arguments[0]` is the program's path; `working_dir` empty: the test's own.
  // `environment`: NAME=VALUE, beside the test's own or in the place of its.
  explicit ChildProcess(std::vector<std::string> arguments, const std::string& working_dir = "",
                        std::vector<std::string> environment = {});
  // Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // What it has written to stderr so far.
  std::string log() const;
  // Waits for a line with `text` and returns what follows it on the line; nullopt if the process ends without
  // one, or after `timeout`.
  std::optional<std::string> WaitForLine(const std::string& text, absl::Duration timeout) const;

  void Signal(int signal);
  // The exit code, or 128 + signal; nullopt if it still runs after `timeout`.
  std::optional<int> WaitForExit(absl::Duration timeout);

  // Of user and system time, from /proc: ticks of 10 ms.
  absl::Duration CpuTime() const;
  // A field of /proc/PID/status in kB ("VmRSS"); 0 if the process is gone.
  int64_t StatusKilobytes(const std::string& field) const;
  // The signals that it ignores, as in /proc/PID/status.
  uint64_t IgnoredSignals() const;

 private:
  void ReadLog(int fd);

  pid_t pid_ = -1;
  std::optional<int> exit_code_;

  mutable Mutex mu_;
  mutable CondVar log_grew_;
  std::string log_ ABSL_GUARDED_BY(mu_);
  bool log_ended_ ABSL_GUARDED_BY(mu_) = false;
  std::jthread log_reader_;  // Last: joined before what it writes to goes.
};

// Where things are in the source and build trees.
std::string DemoModels();                               // examples/fashion_mnist/models
std::string FixtureModels();                            // tests/fixtures/models
std::string BuiltProgram(const std::string& relative);  // "server/calserve-server"

// For the environment of a server whose memory is compared. Else jemalloc holds freed pages back for ten
// seconds, which is as long as such a test takes: how many varies by 6 MB, whatever the server keeps.
inline constexpr char kGiveBackAtOnce[] = "MALLOC_CONF=dirty_decay_ms:0,muzzy_decay_ms:0";

struct ServerFlags {
  std::string model_repository = DemoModels();
  std::string data_dir;
  std::string listen = "127.0.0.1:0";
  std::string admin_listen = "off";
  std::vector<std::string> more;  // "--feedback-ttl", "1s"
  std::string working_dir;
  std::vector<std::string> environment;  // "TMPDIR=/tmp/x", beside the test's own
  std::string program;                   // empty: calserve-server
};

// The real server binary on a port of its own choice.
class ServerProcess : public ChildProcess {
 public:
  // Only starts it; WaitUntilServing waits.
  explicit ServerProcess(const ServerFlags& flags);

  // False if it exits first; log() says why.
  bool WaitUntilServing(absl::Duration timeout = absl::Seconds(60));
  // "127.0.0.1:PORT"; only once it serves.
  const std::string& address() const { return address_; }
  // The same of the admin port; empty where it is off.
  const std::string& admin_address() const { return admin_address_; }

 private:
  const bool has_admin_port_;
  std::string address_, admin_address_;
};

}  // namespace calserve::e2e

#endif  // CALSERVE_TESTS_END_TO_END_SERVER_PROCESS_H_
