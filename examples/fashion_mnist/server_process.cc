#include "examples/fashion_mnist/server_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "calibration_io/file.h"

namespace calserve::demo {
namespace {

std::string LogPath(const ServerOptions& options) { return absl::StrCat(options.data_dir, "/server.log"); }

// A port that was free a moment ago.
absl::StatusOr<int> FreeLoopbackPort() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) return absl::ErrnoToStatus(errno, "socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool bound = bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
                     getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const int error = errno;
  close(listener);
  if (!bound) return absl::ErrnoToStatus(error, "cannot bind a port on 127.0.0.1");
  return ntohs(address.sin_port);
}

// Only async-signal-safe calls between fork and exec.
absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& arguments, const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const int log_file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_file < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot create ", log));
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    dup2(log_file, STDOUT_FILENO);
    dup2(log_file, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  const int error = errno;
  close(log_file);
  if (child < 0) return absl::ErrnoToStatus(error, "fork");
  return child;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(const ServerOptions& options,
                                                                    absl::Duration patience) {
  const absl::StatusOr<int> port = FreeLoopbackPort();
  if (!port.ok()) return port.status();
  const std::string target = absl::StrCat("127.0.0.1:", *port);
  const absl::StatusOr<pid_t> pid =
      Spawn({options.binary, "--model-repository", options.model_repository, "--listen", target,
             "--admin-listen", "off", "--data-dir", options.data_dir},
            LogPath(options));
  if (!pid.ok()) return pid.status();
  auto server = absl::WrapUnique(new ServerProcess(options, target, *pid));

  absl::StatusOr<Client> client = Client::Connect({.target = target});
  if (!client.ok()) return client.status();
  const absl::Time deadline = absl::Now() + patience;
  while (true) {
    const absl::Status serving = client->WaitUntilServing(absl::Milliseconds(100));
    if (serving.ok()) return server;
    if (server->HasEnded()) {
      return absl::UnavailableError(
          absl::StrCat(options.binary, " ended instead of serving:\n", server->EndOfLog()));
    }
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat(options.binary, " does not serve after ",
                                                      absl::FormatDuration(patience), ": ", serving.message(),
                                                      "\n", server->EndOfLog()));
    }
  }
}

ServerProcess::~ServerProcess() {
  if (HasEnded()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, &wait_status_, 0);
}

bool ServerProcess::HasEnded() {
  if (pid_ != 0 && waitpid(pid_, &wait_status_, WNOHANG) == pid_) pid_ = 0;
  return pid_ == 0;
}

absl::Status ServerProcess::Stop(absl::Duration patience) {
  if (!HasEnded()) kill(pid_, SIGTERM);
  const absl::Time deadline = absl::Now() + patience;
  while (!HasEnded() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(10));
  if (!HasEnded()) {
    return absl::DeadlineExceededError(absl::StrCat("the server still runs ", absl::FormatDuration(patience),
                                                    " after SIGTERM:\n", EndOfLog()));
  }
  if (WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      WIFSIGNALED(wait_status_) ? absl::StrCat("the server was killed by signal ", WTERMSIG(wait_status_))
                                : absl::StrCat("the server exited with ", WEXITSTATUS(wait_status_)),
      ":\n", EndOfLog()));
}

std::string ServerProcess::EndOfLog() const {
  constexpr size_t kShown = 2000;
  const absl::StatusOr<std::string> log = ReadWholeFile(LogPath(options_));
  if (!log.ok()) return std::string(log.status().message());
  return log->size() <= kShown ? *log : absl::StrCat("...", log->substr(log->size() - kShown));
}

}  // namespace calserve::demo
