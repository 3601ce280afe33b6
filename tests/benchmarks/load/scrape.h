#ifndef CALSERVE_TESTS_BENCHMARKS_LOAD_SCRAPE_H_
#define CALSERVE_TESTS_BENCHMARKS_LOAD_SCRAPE_H_

#include <map>
#include <string>

namespace calserve::load {

// The parts of calserve_request_time_seconds_total, in the order of the flow.
inline constexpr const char* kParts[] = {"receive", "queue", "decode", "compute", "calibrate", "respond"};
// The threads of calserve_thread_cpu_seconds_total.
inline constexpr const char* kThreads[] = {"grpc", "decode", "instance", "other"};

// What one scrape of /metrics says of the server's time, all in seconds.
struct ServerTime {
  std::map<std::string, double> parts;    // of answered requests, all models together
  std::map<std::string, double> threads;  // of calserve_thread_cpu_seconds_total
  double process_cpu = 0;
  double requests = 0;  // answered, a count
};

ServerTime operator-(const ServerTime& after, const ServerTime& before);

// Of the admin port at host:port. Throws where it does not answer.
ServerTime ScrapeServerTime(const std::string& address);

}  // namespace calserve::load

#endif  // CALSERVE_TESTS_BENCHMARKS_LOAD_SCRAPE_H_
