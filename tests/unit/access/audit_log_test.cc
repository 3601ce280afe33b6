#include "server/access/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

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

}  // namespace
}  // namespace calserve
