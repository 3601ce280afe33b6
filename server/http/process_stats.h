#ifndef CALSERVE_SERVER_HTTP_PROCESS_STATS_H_
#define CALSERVE_SERVER_HTTP_PROCESS_STATS_H_

#include <cstdint>
#include <map>
#include <string>

namespace calserve {

// This process, as the kernel sees it. What cannot be read is 0.
struct ProcessStats {
  double cpu_seconds = 0;                            // user and system, of all threads
  std::map<std::string, double> thread_cpu_seconds;  // by what threads are for (thread_times.h)
  int64_t resident_bytes = 0;
  int64_t virtual_bytes = 0;
  int64_t open_fds = 0;
  int64_t max_fds = 0;
  int64_t connections_turned_away = 0;                   // since the start, for want of a file
  int64_t received_bytes = 0, received_bytes_limit = 0;  // ReceivedBytes() and
  int64_t unsent_bytes = 0, unsent_bytes_limit = 0;      // UnsentBytes() of base/byte_budget.h
  double start_time_seconds = 0;                         // since 1970
};

ProcessStats ReadProcessStats();

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_PROCESS_STATS_H_
