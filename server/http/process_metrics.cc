#include "server/http/process_metrics.h"

#include <cstdint>

namespace calserve {

void AddProcess(MetricFamilies& families, const ProcessStats& process) {
  Put(AddCounter(families, "process_cpu_seconds_total", "User and system CPU time of all threads"), {},
      process.cpu_seconds);
  prometheus::MetricFamily& threads =
      AddCounter(families, "calserve_thread_cpu_seconds_total",
                 "User and system CPU time of threads by what they are for: instance (forward passes, "
                 "LibTorch's helpers included), decode, grpc, other");
  for (const auto& [name, seconds] : process.thread_cpu_seconds)
    Put(threads, {Label("threads", name)}, seconds);
  Put(AddGauge(families, "process_resident_memory_bytes", "Resident memory"), {},
      static_cast<double>(process.resident_bytes));
  Put(AddGauge(families, "process_virtual_memory_bytes", "Virtual memory"), {},
      static_cast<double>(process.virtual_bytes));
  Put(AddGauge(families, "process_open_fds", "Open file descriptors"), {},
      static_cast<double>(process.open_fds));
  Put(AddGauge(families, "process_max_fds", "File descriptors that may be open"), {},
      static_cast<double>(process.max_fds));
  Put(AddCounter(families, "calserve_connections_turned_away_total",
                 "Connections closed at once because no file descriptor was left for them"),
      {}, static_cast<double>(process.connections_turned_away));
  const auto bytes = [&](const char* name, const char* help, int64_t value) {
    Put(AddGauge(families, name, help), {}, static_cast<double>(value));
  };
  bytes("calserve_received_bytes", "Messages of 4 KiB and more whose calls are not answered yet",
        process.received_bytes);
  bytes("calserve_received_bytes_limit", "The most of them: grpc.max_received_bytes",
        process.received_bytes_limit);
  bytes("calserve_unsent_bytes", "Answers of 4 KiB and more that clients have not read yet",
        process.unsent_bytes);
  bytes("calserve_unsent_bytes_limit", "The most of them: grpc.max_unsent_bytes", process.unsent_bytes_limit);
  Put(AddGauge(families, "process_start_time_seconds", "Start of the process since 1970"), {},
      process.start_time_seconds);
}

}  // namespace calserve
