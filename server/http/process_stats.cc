#include "server/http/process_stats.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

#include "server/base/accepting.h"
#include "server/base/byte_budget.h"
#include "server/http/thread_times.h"

namespace calserve {
namespace {

// Of /proc/self/stat, counted from 1 as in proc(5).
constexpr int kStartTimeField = 22;  // in clock ticks after the boot
constexpr int kFirstFieldAfterName = 3;

double BootTimeSeconds() {
  std::ifstream stat("/proc/stat");
  for (std::string word; stat >> word;) {
    double value = 0;
    if (word == "btime" && stat >> value) return value;
  }
  return 0;
}

double StartTimeSeconds() {
  std::ifstream file("/proc/self/stat");
  std::string stat;
  std::getline(file, stat);
  // The name, in parentheses, may itself hold spaces and parentheses.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int field = kFirstFieldAfterName; field < kStartTimeField; ++field) fields >> skipped;
  double ticks = 0;
  fields >> ticks;
  return BootTimeSeconds() + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

int64_t CountOpenFds() {
  std::error_code error;
  int64_t count = 0;
  auto entry = std::filesystem::directory_iterator("/proc/self/fd", error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) ++count;
  return count > 0 ? count - 1 : 0;  // One of them is the listing's own.
}

}  // namespace

ProcessStats ReadProcessStats() {
  ProcessStats stats;
  timespec cpu{};
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0) {
    stats.cpu_seconds = static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9;
  }
  static auto& threads = *new ThreadTimes;  // never destroyed: a scrape may outlive main
  stats.thread_cpu_seconds = threads.Read();
  int64_t pages = 0, resident_pages = 0;
  if (std::ifstream("/proc/self/statm") >> pages >> resident_pages) {
    stats.virtual_bytes = pages * sysconf(_SC_PAGESIZE);
    stats.resident_bytes = resident_pages * sysconf(_SC_PAGESIZE);
  }
  stats.open_fds = CountOpenFds();
  rlimit fds{};
  if (getrlimit(RLIMIT_NOFILE, &fds) == 0) stats.max_fds = static_cast<int64_t>(fds.rlim_cur);
  stats.connections_turned_away = ConnectionsTurnedAway();
  stats.received_bytes = ReceivedBytes().taken();
  stats.received_bytes_limit = ReceivedBytes().limit();
  stats.unsent_bytes = UnsentBytes().taken();
  stats.unsent_bytes_limit = UnsentBytes().limit();
  static const double start_time = StartTimeSeconds();
  stats.start_time_seconds = start_time;
  return stats;
}

}  // namespace calserve
