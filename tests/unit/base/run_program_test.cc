#include "server/base/run_program.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"

namespace calserve {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using How = ProgramEnd::How;

constexpr absl::Duration kLong = absl::Minutes(2);

bool Never() { return false; }

ProgramEnd Shell(const std::string& script, absl::Duration timeout = kLong,
                 const std::function<bool()>& stop = Never) {
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
  const ProgramEnd exited = Shell("echo this; echo that was it >&2; exit 7");
  EXPECT_EQ(exited.how, How::kExited);
  EXPECT_EQ(exited.code, 7);
  EXPECT_EQ(exited.output, "this\n");
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

TEST(RunProgramTest, IsKilledWhenItsTimeIsUp) {
  const ProgramEnd late = Shell("sleep 300", absl::Milliseconds(100));
  EXPECT_EQ(late.how, How::kTimedOut);
  EXPECT_EQ(late.code, SIGKILL);
}

TEST(RunProgramTest, EndsWithWhatItStarted) {
  const ProgramEnd end = Shell("sleep 300 >&2 & echo $!; exit 3");
  EXPECT_EQ(end.how, How::kExited);
  EXPECT_EQ(end.code, 3);
  pid_t child = 0;
  ASSERT_TRUE(absl::SimpleAtoi(end.output, &child)) << end.output;
  const absl::Time give_up = absl::Now() + kLong;
  while (Runs(child) && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_FALSE(Runs(child));
}

TEST(RunProgramTest, IsStopped) {
  int asked = 0;
  EXPECT_EQ(Shell("sleep 300", kLong, [&] { return ++asked == 5; }).how, How::kStopped);
  EXPECT_EQ(asked, 5);
}

TEST(RunProgramTest, IsTheFirstToBeEndedWhereMemoryIsShort) {
  const ProgramEnd end =
      Shell("until [ $(cat /proc/$$/oom_score_adj) = 1000 ]; do :; done", absl::Seconds(20));
  EXPECT_EQ(end.how, How::kExited);
}

TEST(RunProgramTest, RunsWhereThereIsNoWorkingDirectoryAnyMore) {
  std::string gone = ::testing::TempDir() + "run_program_XXXXXX";
  ASSERT_NE(mkdtemp(gone.data()), nullptr);
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(gone);
  std::filesystem::remove(gone);
  const ProgramEnd end = Shell("pwd");
  std::filesystem::current_path(before);
  EXPECT_EQ(end.output, "/\n");
}

TEST(RunProgramTest, HasNoneOfTheOpenFilesNorTheSignalsThatAreHeldOff) {
  const int inherited = open("/dev/zero", O_RDONLY);  // without O_CLOEXEC
  ASSERT_GT(inherited, STDERR_FILENO);
  sigset_t held_off, before;
  sigemptyset(&held_off);
  sigaddset(&held_off, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &held_off, &before);
  const auto handler = signal(SIGPIPE, SIG_IGN);
  const ProgramEnd end = Shell("ls -l /proc/$$/fd >&2; kill -PIPE $$; exit 1");
  signal(SIGPIPE, handler);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  close(inherited);
  EXPECT_THAT(end.last_words, HasSubstr("/dev/null"));
  EXPECT_THAT(end.last_words, Not(HasSubstr("/dev/zero")));
  EXPECT_EQ(end.how, How::kKilled);
  EXPECT_EQ(end.code, SIGPIPE);
}

TEST(RunProgramTest, OneThatIsNotThereIsAnError) {
  const absl::Status status = RunProgram("/no/such/program", {"program"}, kLong, Never).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("/no/such/program: No such file"));
}

}  // namespace
}  // namespace calserve
