#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/feedback/store.h"
#include "tests/unit/feedback/feedback_testing.h"
#include "tests/unit/feedback/kill_protocol.h"

// kill -9 at random times under 8 streams of feedback that send again what was not acknowledged: no
// acknowledged label is lost, none is there twice, and the log stays dense. CALSERVE_KILLS sets how often
// (20).
namespace calserve {
namespace {

class KillTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const int file = open(mark_path_.c_str(), O_RDWR | O_CREAT, 0600);
    ASSERT_EQ(ftruncate(file, sizeof(CommitMark)), 0);
    void* const memory = mmap(nullptr, sizeof(CommitMark), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ASSERT_NE(memory, MAP_FAILED);
    close(file);
    mark_ = static_cast<CommitMark*>(memory);
  }
  void TearDown() override { munmap(mark_, sizeof(CommitMark)); }

  // Runs the writer from what was acknowledged last, and kills it after `life`; returns how it ended (wait's
  // status).
  int RunWriter(uint32_t end, absl::Duration life) {
    mark_->open = 0;
    int pipe_ends[2];
    EXPECT_EQ(pipe(pipe_ends), 0);
    std::vector<std::string> arguments = {KILL_WRITER, data_dir_, absl::StrCat(pipe_ends[1]), mark_path_,
                                          absl::StrCat(end)};
    for (const uint32_t next : acknowledged_) arguments.push_back(absl::StrCat(next));
    const pid_t child = Spawn(arguments, pipe_ends[0]);
    close(pipe_ends[1]);
    int status = 0;
    if (life < absl::InfiniteDuration()) {
      absl::SleepFor(life);
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      ReadAcknowledgements(pipe_ends[0]);
    } else {
      ReadAcknowledgements(pipe_ends[0]);
      waitpid(child, &status, 0);
    }
    close(pipe_ends[0]);
    return status;
  }

  static pid_t Spawn(std::vector<std::string>& arguments, int not_for_child) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      close(not_for_child);
      execv(argv[0], argv.data());
      _exit(127);
    }
    return child;
  }

  void ReadAcknowledgements(int from) {
    LabelsKept acknowledgement;
    while (read(from, &acknowledgement, sizeof(acknowledgement)) == sizeof(acknowledgement)) {
      ASSERT_GT(acknowledgement.end, acknowledged_[acknowledgement.stream]);
      acknowledged_[acknowledgement.stream] = acknowledgement.end;
    }
  }

  // Checks what the log has gained, and that everything acknowledged is there.
  void CheckLog() {
    const absl::StatusOr<std::unique_ptr<Store>> store = OpenStore({.data_dir = data_dir_});
    ASSERT_TRUE(store.ok()) << store.status();
    const absl::StatusOr<std::vector<ScoredLabel>> rows =
        (*store)->Read({.after_position = last_position_}, std::numeric_limits<int64_t>::max());
    ASSERT_TRUE(rows.ok()) << rows.status();
    for (const ScoredLabel& row : *rows) {
      ASSERT_EQ(row.position, ++last_position_) << "the log has a hole";
      ASSERT_GE(row.time, last_time_) << "time went back";
      last_time_ = row.time;
      ASSERT_TRUE(ids_.insert(row.prediction.prediction_id).second)
          << "position " << row.position << " is a repeat";
    }
    ASSERT_EQ((*store)->Head()->next_position, last_position_ + 1);
    for (uint32_t s = 0; s < kKillStreams; ++s) {
      for (; checked_[s] < acknowledged_[s]; ++checked_[s]) {
        ASSERT_TRUE(ids_.count(MakePrediction(KillNumber(s, checked_[s])).prediction_id))
            << "stream " << s << ": " << checked_[s] << " was acknowledged and is not there";
      }
    }
  }

  const TemporaryDirectory directory_;
  const std::string data_dir_ = directory_.path() + "/data";
  const std::string mark_path_ = directory_.path() + "/mark";
  CommitMark* mark_ = nullptr;
  std::array<uint32_t, kKillStreams> acknowledged_{};  // all of the stream before it
  std::array<uint32_t, kKillStreams> checked_{};
  std::set<Uuid> ids_;
  int64_t last_position_ = 0;
  absl::Time last_time_ = absl::InfinitePast();
};

TEST_F(KillTest, NoAcknowledgedLabelIsLostAndNoneIsThereTwice) {
  const char* const setting = std::getenv("CALSERVE_KILLS");
  const int kills = setting == nullptr ? 20 : std::atoi(setting);
  absl::BitGen random;
  int in_open_commit = 0;
  for (int i = 0; i < kills; ++i) {
    const absl::Duration life = absl::Microseconds(absl::Uniform(random, 1'000, 200'000));
    const int status = RunWriter(std::numeric_limits<uint32_t>::max(), life);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        << "the writer ended by itself: " << status;
    in_open_commit += static_cast<int>(mark_->open.load());
    ASSERT_NO_FATAL_FAILURE(CheckLog());
  }
  EXPECT_GT(in_open_commit, 0) << "no kill hit an open commit: the test has shown nothing";

  uint32_t end = 0;
  for (const uint32_t next : acknowledged_) end = std::max(end, next + 100);
  ASSERT_EQ(RunWriter(end, absl::InfiniteDuration()), 0);
  ASSERT_NO_FATAL_FAILURE(CheckLog());
  EXPECT_EQ(ids_.size(), size_t{kKillStreams} * end) << "n must be the number of distinct predictions";
  std::printf("%d kills, %d in an open commit, %zu labels\n", kills, in_open_commit, ids_.size());
  RecordProperty("kills_in_open_commit", in_open_commit);
}

}  // namespace
}  // namespace calserve
