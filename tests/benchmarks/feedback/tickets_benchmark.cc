#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "benchmark/benchmark.h"
#include "server/base/clock.h"
#include "server/feedback/half_float.h"
#include "server/feedback/tickets.h"

// Sealing and opening tickets; the argument is K, the number of classes. Bars: sealing about 2 µs at K = 10,
// and calibrate + top-k + ticket at most 5 µs at K = 10, 15 µs at K = 1,000.
namespace calserve {
namespace {

std::vector<float> MakeLogits(int64_t classes) {
  std::vector<float> logits(classes);
  for (int64_t k = 0; k < classes; ++k) logits[k] = static_cast<float>((k * 37) % 101) * 0.13f;
  return logits;
}

TicketContent MakeContent(int64_t classes) {
  TicketContent content;
  content.prediction_id = Uuid::NewV7(Clock::System().Now());
  content.model = "fashion-mnist";
  content.model_version = 3;
  content.model_digest = std::string(64, 'a');
  content.calibrator_version = 2;
  content.calibrator_digest = std::string(64, 'b');
  content.issued_at = Clock::System().Now();
  SetLogits(MakeLogits(classes), content);
  return content;
}

std::unique_ptr<TicketSealer> MakeSealer() {
  const std::string directory = std::string(CALSERVE_BINARY_DIR) + "/tickets-benchmark";
  return *CreateTicketSealer({}, directory, "0123456789abcdef0123456789abcdef", Clock::System());
}

void BM_SetLogits(benchmark::State& state) {
  const std::vector<float> logits = MakeLogits(state.range(0));
  TicketContent content;
  for (auto _ : state) {
    SetLogits(logits, content);
    benchmark::DoNotOptimize(content.logits_fp16.data());
  }
}
BENCHMARK(BM_SetLogits)->Arg(10)->Arg(1000);

void BM_Seal(benchmark::State& state) {
  const std::unique_ptr<TicketSealer> sealer = MakeSealer();
  const TicketContent content = MakeContent(state.range(0));
  size_t bytes = 0;
  for (auto _ : state) {
    const std::string ticket = sealer->Seal(content);
    bytes = ticket.size();
    benchmark::DoNotOptimize(ticket.data());
  }
  state.counters["ticket_bytes"] = static_cast<double>(bytes);
}
BENCHMARK(BM_Seal)->Arg(10)->Arg(1000)->Arg(10000);  // the last is above ticket_max_classes

void BM_Open(benchmark::State& state) {
  const std::unique_ptr<TicketSealer> sealer = MakeSealer();
  const std::string ticket = sealer->Seal(MakeContent(state.range(0)));
  for (auto _ : state) {
    const auto opened = sealer->Open(ticket);
    if (!std::holds_alternative<TicketContent>(opened)) return state.SkipWithError("the ticket was rejected");
    benchmark::DoNotOptimize(&opened);
  }
}
BENCHMARK(BM_Open)->Arg(10)->Arg(1000);

}  // namespace
}  // namespace calserve
