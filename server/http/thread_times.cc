#include "server/http/thread_times.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "server/base/thread_name.h"

namespace calserve {
namespace {

namespace fs = std::filesystem;

constexpr char kGrpc[] = "grpc";
constexpr char kOther[] = "other";
// How the names of gRPC's threads begin, as it gives them (gRPC 1.51): of the callback API's pollers, of its
// executors, of its timers and of its synchronous API, which reflection uses.
constexpr std::array<absl::string_view, 6> kNamesOfGrpc = {
    "nexting_thread", "default-executo", "resolver-execut", "event_engine", "timer_manager", "grpc"};

fs::path TasksOfThisProcess() { return "/proc/self/task"; }

std::map<pid_t, ThreadTotals::Thread> ThreadsOfThisProcess() {
  std::map<pid_t, ThreadTotals::Thread> threads;
  std::error_code error;
  auto task = fs::directory_iterator(TasksOfThisProcess(), error);
  for (; !error && task != fs::directory_iterator(); task.increment(error)) {
    pid_t id = 0;
    std::string name;
    double nanos = 0;
    if (!absl::SimpleAtoi(task->path().filename().string(), &id)) continue;
    std::ifstream comm(task->path() / "comm"), schedstat(task->path() / "schedstat");
    if (std::getline(comm, name) && schedstat >> nanos) threads[id] = {ThreadGroup(name), nanos / 1e9};
  }
  return threads;
}

}  // namespace

std::string ThreadGroup(absl::string_view name) {
  if (name == kInstanceThread || name == kDecodeThread) return std::string(name);
  const bool of_grpc =
      std::any_of(kNamesOfGrpc.begin(), kNamesOfGrpc.end(),
                  [name](absl::string_view begins) { return absl::StartsWith(name, begins); });
  return of_grpc ? kGrpc : kOther;
}

ThreadTotals::ThreadTotals() {
  for (const char* group : {kInstanceThread, kDecodeThread, kGrpc, kOther}) seconds_[group] = 0;
}

void ThreadTotals::Add(std::map<pid_t, Thread> now, const std::function<bool(pid_t)>& lives) {
  for (const auto& [id, thread] : now) {
    const auto before = threads_.find(id);
    // One that has taken less than before is another with the same id.
    const bool same = before != threads_.end() && before->second.seconds <= thread.seconds;
    seconds_[thread.group] += thread.seconds - (same ? before->second.seconds : 0);
  }
  for (const auto& [id, thread] : threads_) {
    if (!now.contains(id) && lives(id)) now[id] = thread;
  }
  threads_ = std::move(now);
}

std::map<std::string, double> ThreadTimes::Read() {
  MutexLock lock(&mu_);
  std::map<pid_t, ThreadTotals::Thread> now = ThreadsOfThisProcess();
  const bool kept =
      std::any_of(now.begin(), now.end(), [](const auto& one) { return one.second.seconds > 0; });
  if (!kept) return {};
  totals_.Add(std::move(now), [](pid_t id) {
    std::error_code error;
    return fs::exists(TasksOfThisProcess() / std::to_string(id), error);
  });
  return totals_.seconds();
}

}  // namespace calserve
