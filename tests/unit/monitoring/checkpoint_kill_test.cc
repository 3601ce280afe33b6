// kill -9 at random times while labels are folded and checkpoints written without pause: whatever was on disk
// then, a start gives the windows and alarms of a fold of the whole log from scratch, to the bit.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/monitoring/calibration_monitor.h"
#include "tests/unit/feedback/forwarding_store.h"
#include "tests/unit/monitoring/monitoring_testing.h"
#include "tests/unit/monitoring/same_reports.h"

namespace calserve {
namespace {

constexpr int kKills = 30;

// In shared memory, so that it outlives the killed process.
struct Mark {
  std::atomic<bool> started;
  std::atomic<bool> saving;  // from within the transaction of a checkpoint to its end
};
static_assert(std::atomic<bool>::is_always_lock_free);

class MarkingStore final : public ForwardingStore {
 public:
  MarkingStore(Store& to, Mark& mark) : ForwardingStore(to), mark_(mark) {}
  absl::Status SaveCheckpoint(const std::string& name, const Checkpoint& checkpoint,
                              absl::Span<const CheckpointPart> parts) override {
    std::vector<CheckpointPart> marked(parts.begin(), parts.end());
    for (CheckpointPart& part : marked) {
      if (part.state == nullptr) continue;
      part.state = [this, state = part.state] {
        mark_.saving = true;
        return state();
      };
    }
    const absl::Status status = ForwardingStore::SaveCheckpoint(name, checkpoint, marked);
    mark_.saving = false;
    return status;
  }

 private:
  Mark& mark_;
};

// Its log without its checkpoint.
class LogOnly final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  absl::StatusOr<std::optional<Checkpoint>> LoadCheckpoint(const std::string&) override {
    return std::nullopt;
  }
  absl::Status SaveCheckpoint(const std::string&, const Checkpoint&,
                              absl::Span<const CheckpointPart>) override {
    return absl::OkStatus();
  }
};

class CheckpointKillTest : public ::testing::Test {
 protected:
  void SetUp() override {
    void* const memory =
        mmap(nullptr, sizeof(Mark), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    mark_ = static_cast<Mark*>(memory);
  }
  void TearDown() override { munmap(mark_, sizeof(Mark)); }

  // In a process of its own: appends, folds and saves until it is killed.
  [[noreturn]] void Live(unsigned seed) {
    std::mt19937 random(seed);
    const auto store = OpenStore({.data_dir = data_dir_});
    if (!store.ok()) _exit(1);
    MarkingStore marking(**store, *mark_);
    MonitoringOptions options = SmallWindows();
    options.checkpoint_interval = absl::Microseconds(1);
    const auto monitor = CalibrationMonitor::Create(options, marking, Clock::System(), LookUpTemperature);
    if (!monitor.ok()) _exit(1);
    uint64_t number = uint64_t{seed} << 32;
    while (true) {
      std::vector<ScoredLabel> labels(1 + random() % 30);
      const MonitorKey key = AnyKey(random);
      for (ScoredLabel& label : labels) label = LabelOf(++number, key);
      if (!marking.Append(absl::MakeSpan(labels), absl::Now()).ok()) _exit(1);
      (*monitor)->Notify();
      mark_->started = true;
      if (random() % 4 == 0) (*monitor)->AcknowledgeAlarm(key).IgnoreError();
      if (!(*monitor)->Report(key, options.windows[random() % options.windows.size()]).ok()) _exit(1);
    }
  }

  // Kills it `life` after its first label; whether that was while it saved a checkpoint.
  bool LiveAndKill(unsigned seed, absl::Duration life) {
    mark_->started = mark_->saving = false;
    const pid_t child = fork();
    if (child == 0) Live(seed);
    const absl::Time end = absl::Now() + kPatience;
    while (!mark_->started && absl::Now() < end) absl::SleepFor(absl::Milliseconds(1));
    absl::SleepFor(life);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
    return mark_->saving;
  }

  // The position of the checkpoint that was gone on from.
  int64_t ExpectWindowsAndAlarmsOfTheLog() {
    const auto store = *OpenStore({.data_dir = data_dir_});
    const int64_t end = store->Head()->next_position - 1;
    const std::optional<Checkpoint> checkpoint = *store->LoadCheckpoint("monitoring");
    LogOnly log(*store);
    ManualClock clock(absl::Now());
    const auto restored = *CalibrationMonitor::Create(SmallWindows(), *store, clock, LookUpTemperature);
    const auto scratch = *CalibrationMonitor::Create(SmallWindows(), log, clock, LookUpTemperature);
    EXPECT_TRUE(restored->state().restored.ok()) << restored->state().restored;
    EXPECT_TRUE(restored->WaitForPosition(end, kPatience));
    EXPECT_TRUE(scratch->WaitForPosition(end, kPatience));
    EXPECT_EQ(restored->state().skipped, 0) << "labels were folded a second time";
    ExpectSameReports(*restored, *scratch, SmallWindows());
    return checkpoint.has_value() ? checkpoint->position : 0;
  }

  const TemporaryDirectory directory_;
  const std::string data_dir_ = directory_.path() + "/data";
  Mark* mark_ = nullptr;
};

TEST_F(CheckpointKillTest, WindowsAndAlarmsAreThoseOfTheLogWheneverTheProcessDied) {
  std::mt19937 random(1);
  int while_saving = 0;
  int64_t position = 0;
  for (unsigned i = 1; i <= kKills; ++i) {
    while_saving += LiveAndKill(i, absl::Milliseconds(1 + random() % 60)) ? 1 : 0;
    const int64_t now = ExpectWindowsAndAlarmsOfTheLog();
    EXPECT_GE(now, position);
    position = now;
    if (HasFailure()) FAIL() << "after kill " << i;
  }
  EXPECT_GT(position, 0);
  EXPECT_THAT(*(*OpenStore({.data_dir = data_dir_}))->ListAcknowledgements(0),
              ::testing::Not(::testing::IsEmpty()));
  EXPECT_GT(while_saving, 0) << "no kill hit a checkpoint: the test has shown nothing";
  std::printf("%d kills, %d while a checkpoint was written\n", kKills, while_saving);
}

}  // namespace
}  // namespace calserve
