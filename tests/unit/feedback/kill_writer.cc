#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <future>
#include <thread>
#include <vector>

#include "server/base/clock.h"
#include "server/feedback/feedback_ingestor.h"
#include "tests/unit/feedback/feedback_testing.h"
#include "tests/unit/feedback/forwarding_store.h"
#include "tests/unit/feedback/kill_protocol.h"

// Feeds labels through the ingestor into a SQLite store from 8 streams, and says what was acknowledged, until
// it is killed or every stream is through.
namespace calserve {
namespace {

[[noreturn]] void Die(const absl::Status& status) {
  std::fprintf(stderr, "feedback_kill_writer: %s\n", status.ToString().c_str());
  std::_Exit(1);
}

class MarkingStore final : public ForwardingStore {
 public:
  MarkingStore(Store& to, CommitMark& mark) : ForwardingStore(to), mark_(mark) {}

  absl::StatusOr<std::vector<AppendOutcome>> Append(absl::Span<ScoredLabel> labels, absl::Time now) override {
    mark_.open = 1;
    auto outcomes = ForwardingStore::Append(labels, now);
    mark_.open = 0;
    return outcomes;
  }

 private:
  CommitMark& mark_;
};

CommitMark& OpenMark(const char* path) {
  const int file = open(path, O_RDWR);
  void* const memory = mmap(nullptr, sizeof(CommitMark), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) Die(absl::InternalError("no shared memory"));
  close(file);
  return *static_cast<CommitMark*>(memory);
}

// Sends batches of 1 to 32 one after the other and acknowledges each.
void RunStream(FeedbackIngestor& ingestor, const TicketSealer& sealer, uint32_t stream, uint32_t next,
               uint32_t end, int acknowledgements) {
  while (next < end) {
    std::vector<Feedback> items;
    const uint32_t batch_end = std::min(end, next + 1 + (next * 7 + stream) % 32);
    for (; next < batch_end; ++next) {
      const TicketContent content = MakePrediction(KillNumber(stream, next), 10, Clock::System().Now());
      items.push_back({sealer.Seal(content), KillLabel(next)});
    }
    std::promise<absl::StatusOr<std::vector<FeedbackResult>>> promise;
    ingestor.Submit(
        std::move(items), "kill-test", "anonymous",
        [&](absl::StatusOr<std::vector<FeedbackResult>> results) { promise.set_value(std::move(results)); });
    const absl::StatusOr<std::vector<FeedbackResult>> results = promise.get_future().get();
    if (!results.ok()) Die(results.status());
    for (const FeedbackResult& result : *results) {
      if (result.outcome == FeedbackResult::Outcome::kRejected) Die(absl::InternalError(result.message));
    }
    const LabelsKept acknowledgement{stream, next};
    if (write(acknowledgements, &acknowledgement, sizeof(acknowledgement)) != sizeof(acknowledgement)) {
      Die(absl::InternalError("the pipe is closed"));
    }
  }
}

int Run(char** argv) {
  const std::string data_dir = argv[1];
  const int acknowledgements = std::atoi(argv[2]);
  CommitMark& mark = OpenMark(argv[3]);
  const uint32_t end = static_cast<uint32_t>(std::atoll(argv[4]));

  absl::StatusOr<std::unique_ptr<Store>> opened = OpenStore({.data_dir = data_dir});
  if (!opened.ok()) Die(opened.status());
  MarkingStore store(**opened, mark);
  const auto sealer = CreateTicketSealer({}, data_dir, store.deployment_id(), Clock::System());
  if (!sealer.ok()) Die(sealer.status());
  const auto ingestor = FeedbackIngestor::Create({}, **sealer, store, Clock::System(), nullptr, nullptr);
  if (!ingestor.ok()) Die(ingestor.status());

  std::vector<std::thread> streams;
  for (uint32_t s = 0; s < kKillStreams; ++s) {
    const uint32_t start = static_cast<uint32_t>(std::atoll(argv[5 + s]));
    streams.emplace_back([&, s, start] { RunStream(**ingestor, **sealer, s, start, end, acknowledgements); });
  }
  for (std::thread& stream : streams) stream.join();
  return 0;
}

}  // namespace
}  // namespace calserve

int main(int argc, char** argv) {
  if (argc != 5 + calserve::kKillStreams) return 2;
  return calserve::Run(argv);
}
