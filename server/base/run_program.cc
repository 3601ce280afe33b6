#include "server/base/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace calserve {
namespace {

constexpr absl::Duration kLook = absl::Milliseconds(20);
constexpr size_t kLastWords = 4096;

absl::Status Cannot(absl::string_view what, int error) {
  return absl::UnavailableError(absl::StrCat("cannot ", what, ": ", std::strerror(error)));
}

// The process, and its whole group, which it leads.
absl::StatusOr<pid_t> Spawn(const std::string& path, const std::vector<std::string>& arguments,
                            int standard_error) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  const absl::Cleanup destroy = [&] {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  };
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, standard_error, STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, path.c_str(), &files, &attributes, argv.data(), environ);
  if (error != 0) return Cannot(absl::StrCat("start ", path), error);
  return pid;
}

// What a program writes, of which the end is kept.
class LastWords {
 public:
  // `fd` does not block.
  explicit LastWords(int fd) : fd_(fd) {}

  // Sleeps until there is something, for kLook at most, and takes it, or a part.
  void WaitForSome() {
    pollfd readable = {.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&readable, 1, static_cast<int>(absl::ToInt64Milliseconds(kLook))) > 0) Take();
  }
  std::string TakeRest() {
    while (Take()) continue;
    return std::move(text_);
  }

 private:
  bool Take() {
    char text[kLastWords];
    const ssize_t length = fd_ < 0 ? 0 : read(fd_, text, sizeof(text));
    if (length == 0) fd_ = -1;  // Nobody has the other end: poll only sleeps from now on.
    if (length <= 0) return false;
    text_.append(text, static_cast<size_t>(length));
    if (text_.size() > kLastWords) text_.erase(0, text_.size() - kLastWords);
    return true;
  }

  int fd_;
  std::string text_;
};

// It has ended; it stays to be waited for, so that its id is nobody else's.
bool HasEnded(pid_t pid) {
  siginfo_t info = {};
  return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

}  // namespace

absl::StatusOr<ProgramEnd> RunProgram(const std::string& path, const std::vector<std::string>& arguments,
                                      absl::Duration timeout, const std::stop_token& stop) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Cannot("make a pipe", errno);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const absl::Cleanup close_reading = [&] { close(ends[0]); };
  const absl::Time end = absl::Now() + timeout;
  const absl::StatusOr<pid_t> pid = Spawn(path, arguments, ends[1]);
  close(ends[1]);
  if (!pid.ok()) return pid.status();

  ProgramEnd program;
  LastWords words(ends[0]);
  while (!HasEnded(*pid) && program.how == ProgramEnd::How::kExited) {
    words.WaitForSome();
    if (stop.stop_requested()) {
      program.how = ProgramEnd::How::kStopped;
    } else if (absl::Now() >= end) {
      program.how = ProgramEnd::How::kTimedOut;
    }
  }
  kill(-*pid, SIGKILL);  // And what it has left behind.
  int status = 0;
  while (waitpid(*pid, &status, 0) != *pid) {
    if (errno != EINTR) return Cannot(absl::StrCat("wait for ", path), errno);
  }
  program.last_words = words.TakeRest();
  program.code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
  if (program.how == ProgramEnd::How::kExited && !WIFEXITED(status)) program.how = ProgramEnd::How::kKilled;
  return program;
}

}  // namespace calserve
