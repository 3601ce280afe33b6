#include "server/http/thread_times.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "server/base/thread_name.h"

namespace calserve {
namespace {

constexpr char kGrpc[] = "grpc";
constexpr char kOther[] = "other";
// How the names of gRPC's threads begin, as it gives them (gRPC 1.51): of the callback API's pollers, of its
// executors and of its timers.
constexpr std::array<absl::string_view, 6> kNamesOfGrpc = {
    "nexting_thread", "default-executo", "resolver-execut", "grpc_", "timer_manager", "event_engine"};

std::string GroupOf(absl::string_view name) {
  if (name == kInstanceThread || name == kDecodeThread) return std::string(name);
  for (const absl::string_view begins : kNamesOfGrpc) {
    if (absl::StartsWith(name, begins)) return kGrpc;
  }
  return kOther;
}

}  // namespace

std::map<std::string, double> ThreadTimes::Read() {
  MutexLock lock(&mu_);
  std::map<pid_t, Thread> now;
  std::error_code error;
  auto task = std::filesystem::directory_iterator("/proc/self/task", error);
  for (; !error && task != std::filesystem::directory_iterator(); task.increment(error)) {
    pid_t id = 0;
    std::string name;
    double nanos = 0;
    if (!absl::SimpleAtoi(task->path().filename().string(), &id)) continue;
    std::getline(std::ifstream(task->path() / "comm"), name);
    if (!(std::ifstream(task->path() / "schedstat") >> nanos)) continue;  // It has ended meanwhile.
    now[id] = {GroupOf(name), nanos / 1e9};
  }
  std::map<std::string, double> seconds;
  if (now.empty()) return seconds;
  for (const auto& [id, before] : threads_) {
    const auto thread = now.find(id);
    const bool same = thread != now.end() && thread->second.group == before.group &&
                      thread->second.seconds >= before.seconds;
    if (!same) ended_[before.group] += before.seconds;
  }
  threads_ = std::move(now);
  for (const char* group : {kInstanceThread, kDecodeThread, kGrpc, kOther}) seconds[group] = ended_[group];
  for (const auto& [id, thread] : threads_) seconds[thread.group] += thread.seconds;
  return seconds;
}

}  // namespace calserve
