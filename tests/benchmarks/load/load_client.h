#ifndef CALSERVE_TESTS_BENCHMARKS_LOAD_LOAD_CLIENT_H_
#define CALSERVE_TESTS_BENCHMARKS_LOAD_LOAD_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "calserve/v1/prediction.pb.h"

namespace calserve::load {

// What was measured of one kind of call, or of a forward pass, at one concurrency.
struct Measurement {
  double per_second = 0;    // requests, or images
  absl::Duration p50, p99;  // latency
  absl::Duration cpu_each;  // of the serving process, for one request
};

// The value that a share `quantile` of the sorted latencies does not exceed.
absl::Duration Quantile(const std::vector<int64_t>& sorted_nanos, double quantile);

// How a caller is written: on gRPC's callback API, with bytes that are ready to be sent and an answer that is
// not parsed, the least that a caller can cost the cores which the server computes on; or on the synchronous
// API, where every call blocks a thread, with messages, as most programs call.
enum class Calls { kCallback, kBlocking };

// A closed loop of `concurrency` callers of PredictionService.Predict, each sending its next request as soon
// as it has its answer; over two connections where there is more than one caller.
class LoadClient {
 public:
  LoadClient(const std::string& address, v1::PredictRequest request, Calls calls = Calls::kCallback);
  ~LoadClient();

  // Measures for `duration`, after a tenth of it to warm up. `cpu_time` gives the CPU time of the server.
  // Throws if a call fails.
  template <typename CpuTime>
  Measurement Run(int concurrency, absl::Duration duration, CpuTime cpu_time) {
    RunFor(concurrency, duration / 10);
    const absl::Duration before = cpu_time();
    Measurement measurement = RunFor(concurrency, duration);
    measurement.cpu_each = (cpu_time() - before) / static_cast<double>(last_requests_);
    return measurement;
  }

 private:
  struct Connection;
  struct Load;
  struct Caller;
  Measurement RunFor(int concurrency, absl::Duration duration);

  const Calls calls_;
  const std::unique_ptr<Load> load_;
  std::vector<std::unique_ptr<Connection>> connections_;
  int64_t last_requests_ = 1;
};

// Labels acknowledged as durable a second: `streams` streams of batches, some in flight on each.
double MeasureFeedback(const std::string& address, int labels, int streams, int batch);

}  // namespace calserve::load

#endif  // CALSERVE_TESTS_BENCHMARKS_LOAD_LOAD_CLIENT_H_
