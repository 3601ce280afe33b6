#include "server/access/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/base/monotonic_clock.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(AuditLogTest, ALineSaysWhoDidWhatBeforeAfterAndHowItEnded) {
  EXPECT_EQ(AuditLog::Line({"token:ops",
                            "ipv4:10.0.0.7:51234",
                            "ActivateCalibrator",
                            {{"model", "m"}, {"before", "3"}, {"after", "4"}}},
                           absl::OkStatus()),
            "audit who=token:ops peer=ipv4:10.0.0.7:51234 action=ActivateCalibrator model=m before=3 after=4 "
            "outcome=OK");
}

TEST(AuditLogTest, ALineHasTheRequestId) {
  EXPECT_EQ(AuditLog::Line({"token:ops", "", "A", {{"model", "m"}}, "r-1"}, absl::OkStatus()),
            "audit who=token:ops action=A request_id=r-1 model=m outcome=OK");
}

TEST(AuditLogTest, NoValueCanLookLikeAnotherLineOrAnotherKey) {
  const std::string line = AuditLog::Line(
      {"jwt:eve outcome=OK\naudit who=token:ops\r\x1b[2K\"", "", "RepositoryModelLoad", {{"model", ""}}},
      absl::PermissionDeniedError("no\nway"));
  EXPECT_THAT(line, AllOf(Not(HasSubstr("\n")), Not(HasSubstr("\r")), Not(HasSubstr("\x1b"))));
  EXPECT_EQ(line,
            "audit who=\"jwt:eve outcome=OK\\naudit who=token:ops\\r\\x1b[2K\\\"\" "
            "action=RepositoryModelLoad model=\"\" outcome=PERMISSION_DENIED message=\"no\\nway\"");
}

TEST(AuditLogTest, ALongValueIsCut) {
  const std::string line = AuditLog::Line({std::string(100'000, 'x'), "", "A", {}}, absl::OkStatus());
  EXPECT_LT(line.size(), 1000u);
}

TEST(AuditLogTest, LinesAreAppendedToAFileOfTheOwner) {
  const std::string path = ::testing::TempDir() + "/audit_log_test." + std::to_string(getpid());
  for (const char* who : {"token:a", "token:b"}) {
    const auto log = AuditLog::Open(path);
    ASSERT_TRUE(log.ok()) << log.status();
    (*log)->Record({who, "", "A", {}}, absl::OkStatus());
  }
  std::ifstream in(path);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  EXPECT_THAT(text, AllOf(HasSubstr(" audit who=token:a action=A outcome=OK\n"),
                          EndsWith(" audit who=token:b action=A outcome=OK\n")));
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  std::remove(path.c_str());
}

TEST(AuditLogTest, AFileThatCannotBeWrittenIsNamed) {
  EXPECT_THAT(AuditLog::Open("/proc/none/audit").status().message(),
              AllOf(HasSubstr("access.audit_file"), HasSubstr("/proc/none/audit")));
}

// A file of its own, and a disk that is full at the tests' word.
class AuditFileTest : public ::testing::Test {
 protected:
  AuditFileTest() : folder_(::testing::TempDir() + "/audit_file_test." + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
    path_ = folder_ / "audit";
  }
  ~AuditFileTest() override { std::filesystem::remove_all(folder_); }
  void Open() {
    auto log = AuditLog::Open(path_, clock_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  void Record(const std::string& who, const absl::Status& outcome = absl::OkStatus()) {
    log_->Record({who, "", "A", {}}, outcome);
  }
  static std::string Text(const std::filesystem::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // No file may be larger than this one is, and `room`: what is written beyond fails.
  class FullDisk {
   public:
    explicit FullDisk(const std::filesystem::path& file, rlim_t room = 0) {
      signal(SIGXFSZ, SIG_IGN);
      getrlimit(RLIMIT_FSIZE, &before_);
      rlimit limit = before_;
      limit.rlim_cur = std::filesystem::file_size(file) + room;
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }

   private:
    rlimit before_{};
  };

  const std::filesystem::path folder_;
  std::filesystem::path path_;
  ManualMonotonicClock clock_;
  std::unique_ptr<AuditLog> log_;
};

// As logrotate does it, with and without `create`.
TEST_F(AuditFileTest, BeginsANewFileWhereTheOldOneWasMovedAway) {
  Open();
  Record("token:a");
  std::filesystem::rename(path_, folder_ / "audit.1");
  Record("token:b");
  std::filesystem::rename(path_, folder_ / "audit.2");
  std::ofstream(path_).close();
  EXPECT_TRUE(log_->CheckWritable().ok());
  Record("token:c");
  EXPECT_THAT(Text(folder_ / "audit.1"), AllOf(HasSubstr("token:a"), Not(HasSubstr("token:b"))));
  EXPECT_THAT(Text(folder_ / "audit.2"), AllOf(HasSubstr("token:b"), Not(HasSubstr("token:c"))));
  EXPECT_THAT(Text(path_), AllOf(HasSubstr("token:c"), Not(HasSubstr("token:b"))));
  EXPECT_EQ(log_->failures(), 0);
}

TEST_F(AuditFileTest, WhatCannotBeWrittenIsCountedAndTheFileSaysThatItIsMissing) {
  Open();
  Record("token:a");
  {
    const FullDisk full(path_);
    Record("token:b");
    Record("token:c");
    EXPECT_EQ(log_->failures(), 2);
    const absl::Status refused = log_->CheckWritable();
    EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(refused.message()),
                AllOf(HasSubstr("could not be audited"), HasSubstr("access.audit_file"), HasSubstr(path_)));
  }
  EXPECT_TRUE(log_->CheckWritable().ok());
  Record("token:d");
  EXPECT_EQ(log_->failures(), 2);
  EXPECT_THAT(Text(path_), AllOf(HasSubstr("token:a"), Not(HasSubstr("token:b")),
                                 HasSubstr("audit who=server action=audit lines_missing=2 outcome=OK\n"),
                                 HasSubstr("token:d")));
}

TEST_F(AuditFileTest, AFolderThatIsGoneIsSeenBeforeAnActionIsDone) {
  Open();
  EXPECT_TRUE(log_->CheckWritable().ok());
  std::filesystem::remove_all(folder_);
  EXPECT_EQ(log_->CheckWritable().code(), absl::StatusCode::kUnavailable);
  std::filesystem::create_directories(folder_);
  EXPECT_TRUE(log_->CheckWritable().ok());
}

TEST_F(AuditFileTest, APipeThatNobodyReadsIsNotWaitedFor) {
  Open();
  std::filesystem::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(log_->CheckWritable().code(), absl::StatusCode::kUnavailable);
  std::filesystem::remove(path_);
  EXPECT_TRUE(log_->CheckWritable().ok());
}

TEST_F(AuditFileTest, ALineOfWhichOnlyAPartFittedIsEndedBeforeTheNext) {
  Open();
  Record("token:a");
  {
    const FullDisk full(path_, 10);
    Record("token:b");
  }
  Record("token:c");
  std::ifstream in(path_);
  std::string line;
  int whole = 0;
  while (std::getline(in, line)) whole += line.ends_with("outcome=OK") && line.size() > 20 ? 1 : 0;
  EXPECT_EQ(whole, 3) << Text(path_);  // a, what is missing, c
}

TEST_F(AuditFileTest, RefusedCallersCannotFillIt) {
  Open();
  const auto lines = [this] {
    const std::string text = Text(path_);
    return std::count(text.begin(), text.end(), '\n');
  };
  for (int i = 0; i < 5'000; ++i) {
    Record(kUnknownCaller, absl::UnauthenticatedError("no"));
    Record("token:reader", absl::PermissionDeniedError("no"));
  }
  EXPECT_EQ(lines(), 100);
  Record("token:a");
  EXPECT_EQ(lines(), 101);
  clock_.Advance(absl::Seconds(2));
  for (int i = 0; i < 10; ++i) Record(kUnknownCaller, absl::UnauthenticatedError("no"));
  EXPECT_EQ(lines(), 103);
  EXPECT_THAT(Text(path_), HasSubstr("skipped=9900 "));
}

}  // namespace
}  // namespace calserve
