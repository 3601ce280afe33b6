#include "tests/benchmarks/load/scrape.h"

#include <httplib.h>

#include <sstream>
#include <stdexcept>

namespace calserve::load {
namespace {

// "requests_total" of the line `requests_total{model="a"} 7`.
std::string NameOf(const std::string& line) { return line.substr(0, line.find_first_of("{ ")); }

// "a" of `...,part="a"}`.
std::string LabelOf(const std::string& line, const std::string& label) {
  const std::string opening = label + "=\"";
  const size_t begin = line.find(opening);
  if (begin == std::string::npos) return "";
  const size_t value = begin + opening.size();
  return line.substr(value, line.find('"', value) - value);
}

}  // namespace

ServerTime operator-(const ServerTime& after, const ServerTime& before) {
  ServerTime passed = after;
  for (const auto& [part, seconds] : before.parts) passed.parts[part] -= seconds;
  for (const auto& [threads, seconds] : before.threads) passed.threads[threads] -= seconds;
  passed.process_cpu -= before.process_cpu;
  passed.requests -= before.requests;
  return passed;
}

ServerTime ScrapeServerTime(const std::string& address) {
  const size_t colon = address.rfind(':');
  httplib::Client client(address.substr(0, colon), std::stoi(address.substr(colon + 1)));
  const httplib::Result answer = client.Get("/metrics");
  if (!answer || answer->status != 200) throw std::runtime_error("no metrics from " + address);
  ServerTime time;
  std::istringstream lines(answer->body);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::string name = NameOf(line);
    const double value = std::stod(line.substr(line.rfind(' ') + 1));
    if (name == "calserve_request_time_seconds_total") time.parts[LabelOf(line, "part")] += value;
    if (name == "calserve_thread_cpu_seconds_total") time.threads[LabelOf(line, "threads")] += value;
    if (name == "calserve_request_duration_seconds_count") time.requests += value;
    if (name == "process_cpu_seconds_total") time.process_cpu += value;
  }
  return time;
}

}  // namespace calserve::load
