#include "server/base/run_program.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"

namespace calserve {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using How = ProgramEnd::How;

constexpr absl::Duration kLong = absl::Minutes(2);

ProgramEnd Shell(const std::string& script, absl::Duration timeout = kLong,
                 const std::stop_token& stop = std::stop_token()) {
  const absl::StatusOr<ProgramEnd> end = RunProgram("/bin/sh", {"sh", "-c", script}, timeout, stop);
  EXPECT_TRUE(end.ok()) << end.status();
  return end.value_or(ProgramEnd{.code = -1});
}

// One that was killed is a zombie until whoever adopts orphans here takes notice of it.
bool Runs(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string id, name, state;
  return file >> id >> name >> state && state != "Z" && state != "X";
}

TEST(RunProgramTest, SaysHowItEndedAndWhatItSaidLast) {
  const ProgramEnd exited = Shell("echo to nobody; echo that was it >&2; exit 7");
  EXPECT_EQ(exited.how, How::kExited);
  EXPECT_EQ(exited.code, 7);
  EXPECT_EQ(exited.last_words, "that was it\n");
  const ProgramEnd killed = Shell("kill -SEGV $$");
  EXPECT_EQ(killed.how, How::kKilled);
  EXPECT_EQ(killed.code, SIGSEGV);
  EXPECT_EQ(killed.last_words, "");
}

TEST(RunProgramTest, KeepsTheEndOfMuch) {
  const std::string words = Shell("yes 0123456789 | head -c 300000 >&2; echo end >&2").last_words;
  EXPECT_EQ(words.size(), 4096);
  EXPECT_THAT(words, EndsWith("end\n"));
}

TEST(RunProgramTest, IsKilledWithWhatItStartedWhenItsTimeIsUp) {
  const ProgramEnd late = Shell("sleep 300 & echo $! >&2; wait", absl::Milliseconds(200));
  EXPECT_EQ(late.how, How::kTimedOut);
  EXPECT_EQ(late.code, SIGKILL);
  pid_t child = 0;
  ASSERT_TRUE(absl::SimpleAtoi(late.last_words, &child)) << late.last_words;
  const absl::Time end = absl::Now() + kLong;
  while (Runs(child) && absl::Now() < end) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_FALSE(Runs(child));
}

TEST(RunProgramTest, WaitsForNoneThatItLeavesBehind) {
  const ProgramEnd end = Shell("sleep 300 >&2 & exit 3");
  EXPECT_EQ(end.how, How::kExited);
  EXPECT_EQ(end.code, 3);
}

TEST(RunProgramTest, IsStopped) {
  std::stop_source stop;
  std::jthread later([&] {
    absl::SleepFor(absl::Milliseconds(50));
    stop.request_stop();
  });
  EXPECT_EQ(Shell("sleep 300", kLong, stop.get_token()).how, How::kStopped);
  EXPECT_EQ(Shell("sleep 300", kLong, stop.get_token()).how, How::kStopped) << "at once";
}

TEST(RunProgramTest, HasNoneOfTheOpenFilesNorTheSignalMask) {
  const int inherited = open("/dev/zero", O_RDONLY);  // without O_CLOEXEC
  ASSERT_GT(inherited, STDERR_FILENO);
  sigset_t terminate, before;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &terminate, &before);
  const ProgramEnd end = Shell("ls -l /proc/$$/fd >&2; kill $$; sleep 300");
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  close(inherited);
  EXPECT_THAT(end.last_words, HasSubstr("/dev/null"));
  EXPECT_THAT(end.last_words, Not(HasSubstr("/dev/zero")));
  EXPECT_EQ(end.how, How::kKilled);
  EXPECT_EQ(end.code, SIGTERM);
}

TEST(RunProgramTest, OneThatIsNotThereIsAnError) {
  const absl::Status status = RunProgram("/no/such/program", {"program"}, kLong, std::stop_token()).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("/no/such/program: No such file"));
}

}  // namespace
}  // namespace calserve
