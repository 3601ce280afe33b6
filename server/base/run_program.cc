#include "server/base/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "server/base/monotonic_clock.h"
#include "server/base/status_macros.h"

namespace calserve {
namespace {

constexpr absl::Duration kLook = absl::Milliseconds(20);
// How long one that is killed may take to be gone.
constexpr absl::Duration kLetGo = absl::Seconds(5);
constexpr size_t kMostKept = 4096;

absl::Status Cannot(absl::string_view what, int error) {
  return absl::UnavailableError(absl::StrCat("cannot ", what, ": ", std::strerror(error)));
}

// A pipe from the program, and the end of what came through it.
class Output {
 public:
  Output() = default;
  ~Output() {
    CloseWritingEnd();
    if (reading_ >= 0) close(reading_);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  absl::Status Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Cannot("make a pipe", errno);
    reading_ = ends[0];
    writing_ = ends[1];
    fcntl(reading_, F_SETFL, O_NONBLOCK);
    return absl::OkStatus();
  }
  // For the program.
  int writing_end() const { return writing_; }
  void CloseWritingEnd() {
    if (writing_ >= 0) close(std::exchange(writing_, -1));
  }

  // poll does not look at one that has come to its end.
  pollfd Readable() const { return {.fd = ended_ ? -1 : reading_, .events = POLLIN, .revents = 0}; }
  // Takes a part of what is there; false if that is nothing.
  bool Take() {
    char text[kMostKept];
    const ssize_t length = read(reading_, text, sizeof(text));
    ended_ = ended_ || length == 0;
    if (length <= 0) return false;
    text_.append(text, static_cast<size_t>(length));
    if (text_.size() > kMostKept) text_.erase(0, text_.size() - kMostKept);
    return true;
  }
  // What a full pipe holds, if so much is there, and not what a process that got away may yet add.
  std::string TakeRest() {
    constexpr int kPipes = 16;  // of kMostKept in one of 64 KiB
    for (int taken = 0; taken <= kPipes && Take();) ++taken;
    return std::move(text_);
  }

 private:
  int reading_ = -1, writing_ = -1;
  bool ended_ = false;
  std::string text_;
};

// The process, and its whole group, which it leads.
absl::StatusOr<pid_t> Spawn(const std::string& path, const std::vector<std::string>& arguments,
                            const Output& output, const Output& errors) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  const absl::Cleanup destroy = [&] {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  };
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output.writing_end(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, errors.writing_end(), STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  std::error_code gone;
  if (std::filesystem::current_path(gone).empty()) posix_spawn_file_actions_addchdir_np(&files, "/");
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

// Whether it has ended. It stays to be waited for, so that its id is nobody else's.
absl::StatusOr<bool> HasEnded(pid_t pid) {
  siginfo_t info = {};
  if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
    return info.si_pid == pid;
  }
  if (errno == EINTR) return false;
  return Cannot(absl::StrCat("wait for process ", pid), errno);
}

// Sleeps until one of the outputs has something, for kLook at most, and takes a part of it.
void Listen(Output& output, Output& errors) {
  std::array<pollfd, 2> readable = {output.Readable(), errors.Readable()};
  if (poll(readable.data(), readable.size(), static_cast<int>(absl::ToInt64Milliseconds(kLook))) <= 0) return;
  if (readable[0].revents != 0) output.Take();
  if (readable[1].revents != 0) errors.Take();
}

// Of a group that is killed: where this is the first process of a container, what the program left behind is
// its child now.
void ReapGroup(pid_t group, absl::Time end) {
  for (pid_t reaped = 1; reaped > 0 || (reaped == 0 && MonotonicClock::System().Now() < end);) {
    reaped = waitpid(-group, nullptr, WNOHANG);
    if (reaped == 0) absl::SleepFor(kLook);
  }
}

}  // namespace

absl::StatusOr<ProgramEnd> RunProgram(const std::string& path, const std::vector<std::string>& arguments,
                                      absl::Duration timeout, const std::function<bool()>& stop) {
  Output output, errors;
  RETURN_IF_ERROR(output.Open());
  RETURN_IF_ERROR(errors.Open());
  const MonotonicClock& clock = MonotonicClock::System();
  const absl::Time end = clock.Now() + timeout;
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(path, arguments, output, errors));
  output.CloseWritingEnd();
  errors.CloseWritingEnd();
  std::ofstream(absl::StrCat("/proc/", pid, "/oom_score_adj")) << "1000\n";

  ProgramEnd program;
  bool ended = false, stopped = false;
  while (!ended && !(stopped = stop()) && clock.Now() < end) {
    Listen(output, errors);
    ASSIGN_OR_RETURN(ended, HasEnded(pid));
  }
  if (!ended) program.how = ProgramEnd::How::kTimedOut;
  kill(-pid, SIGKILL);  // And what it has left behind.
  const absl::Time let_go = clock.Now() + kLetGo;
  while (!ended && clock.Now() < let_go) {
    absl::SleepFor(absl::Milliseconds(1));
    ASSIGN_OR_RETURN(ended, HasEnded(pid));
  }
  int status = SIGKILL;
  if (ended) {
    waitpid(pid, &status, 0);
    ReapGroup(pid, let_go);
  }
  program.output = output.TakeRest();
  program.last_words = errors.TakeRest();
  program.code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
  if (program.how == ProgramEnd::How::kExited && !WIFEXITED(status)) program.how = ProgramEnd::How::kKilled;
  if (stopped) program.how = ProgramEnd::How::kStopped;
  return program;
}

}  // namespace calserve
