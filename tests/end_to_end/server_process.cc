#include "tests/end_to_end/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "absl/time/clock.h"

namespace calserve::e2e {
namespace {

// Between fork and exec only what is async-signal-safe: the test has threads.
[[noreturn]] void RunChild(char* const* arguments, char* const* environment, const char* working_dir,
                           int stderr_fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (*working_dir != '\0' && chdir(working_dir) != 0) _exit(126);
  const int null = open("/dev/null", O_RDWR);
  if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(stderr_fd, 2) < 0) _exit(126);
  execve(arguments[0], arguments, environment);
  _exit(127);
}

// `first`, which is found before what comes after; then the test's environment without CALSERVE_*, which
// would configure the server; its log is text, whose lines are easier to wait for.
std::vector<char*> EnvironmentWithoutOurs(std::vector<std::string>& first) {
  static char text_log[] = "CALSERVE_LOG_FORMAT=text";
  std::vector<char*> environment;
  for (std::string& variable : first) environment.push_back(variable.data());
  environment.push_back(text_log);
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (std::strncmp(*variable, "CALSERVE_", 9) != 0) environment.push_back(*variable);
  }
  environment.push_back(nullptr);
  return environment;
}

std::string Slurp(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string StatusField(pid_t pid, const std::string& field) {
  std::istringstream lines(Slurp("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(field + ":", 0) == 0) return line.substr(field.size() + 1);
  }
  return "";
}

}  // namespace

ChildProcess::ChildProcess(std::vector<std::string> arguments, const std::string& working_dir,
                           std::vector<std::string> variables) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<char*> environment = EnvironmentWithoutOurs(variables);
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  pid_ = fork();
  if (pid_ == 0) RunChild(argv.data(), environment.data(), working_dir.c_str(), pipe_fds[1]);
  close(pipe_fds[1]);
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  log_reader_ = std::jthread([this, fd = pipe_fds[0]] { ReadLog(fd); });
}

ChildProcess::~ChildProcess() {
  if (exit_code_.has_value()) return;
  Signal(SIGKILL);
  WaitForExit(absl::Seconds(30));
}

void ChildProcess::ReadLog(int fd) {
  char buffer[4096];
  for (;;) {
    const ssize_t size = read(fd, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    MutexLock lock(&mu_);
    if (size > 0) log_.append(buffer, size);
    if (size <= 0) log_ended_ = true;
    log_grew_.SignalAll();
    if (size <= 0) break;
  }
  close(fd);
}

std::string ChildProcess::log() const {
  MutexLock lock(&mu_);
  return log_;
}

std::optional<std::string> ChildProcess::WaitForLine(const std::string& text, absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  MutexLock lock(&mu_);
  for (;;) {
    const size_t begin = log_.find(text);
    const size_t end = begin == std::string::npos ? begin : log_.find('\n', begin);
    if (end != std::string::npos) return log_.substr(begin + text.size(), end - begin - text.size());
    const absl::Duration left = deadline - absl::Now();
    if (log_ended_ || left <= absl::ZeroDuration()) return std::nullopt;
    log_grew_.WaitFor(&mu_, left);
  }
}

void ChildProcess::Signal(int signal) {
  if (!exit_code_.has_value()) kill(pid_, signal);
}

std::optional<int> ChildProcess::WaitForExit(absl::Duration timeout) {
  if (exit_code_.has_value()) return exit_code_;
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  pollfd ended{pidfd, POLLIN, 0};
  const absl::Time deadline = absl::Now() + timeout;
  int ready = 0;
  do {
    ready = poll(&ended, 1, std::max<int>(0, absl::ToInt64Milliseconds(deadline - absl::Now())));
  } while (ready < 0 && errno == EINTR);
  close(pidfd);
  if (ready <= 0) return std::nullopt;
  int status = 0;
  waitpid(pid_, &status, 0);
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  log_reader_.join();
  return exit_code_;
}

absl::Duration ChildProcess::CpuTime() const {
  const std::string stat = Slurp("/proc/" + std::to_string(pid_) + "/stat");
  // The command's name, in brackets, may hold anything; user and system time are fields 14 and 15.
  std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 2)));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  int64_t user = 0, system = 0;
  fields >> user >> system;
  return absl::Seconds(static_cast<double>(user + system) / sysconf(_SC_CLK_TCK));
}

int64_t ChildProcess::StatusKilobytes(const std::string& field) const {
  return std::strtoll(StatusField(pid_, field).c_str(), nullptr, 10);
}

uint64_t ChildProcess::IgnoredSignals() const {
  return std::strtoull(StatusField(pid_, "SigIgn").c_str(), nullptr, 16);
}

std::string DemoModels() { return CALSERVE_SOURCE_DIR "/examples/fashion_mnist/models"; }
std::string FixtureModels() { return CALSERVE_SOURCE_DIR "/tests/fixtures/models"; }
std::string BuiltProgram(const std::string& relative) { return CALSERVE_BINARY_DIR "/" + relative; }

namespace {

std::vector<std::string> Arguments(const ServerFlags& flags) {
  std::vector<std::string> arguments = {
      flags.program.empty() ? BuiltProgram("server/calserve-server") : flags.program,
      "--model-repository",
      flags.model_repository,
      "--listen",
      flags.listen,
      "--admin-listen",
      flags.admin_listen,
      "--data-dir",
      flags.data_dir};
  arguments.insert(arguments.end(), flags.more.begin(), flags.more.end());
  return arguments;
}

}  // namespace

ServerProcess::ServerProcess(const ServerFlags& flags)
    : ChildProcess(Arguments(flags), flags.working_dir, flags.environment),
      has_admin_port_(flags.admin_listen != "off") {}

bool ServerProcess::WaitUntilServing(absl::Duration timeout) {
  const std::optional<std::string> rest = WaitForLine("serving address=", timeout);
  if (!rest.has_value()) return false;
  address_ = rest->substr(0, rest->find(' '));
  if (!has_admin_port_) return true;
  const std::optional<std::string> admin = WaitForLine("admin address=", timeout);  // logged before
  if (admin.has_value()) admin_address_ = admin->substr(0, admin->find(' '));
  return admin.has_value();
}

}  // namespace calserve::e2e
