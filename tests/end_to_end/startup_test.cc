// A start that cannot succeed says why and exits with the code for it: 2 usage, 3 model, 4 address, 5 store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>

#include "tests/end_to_end/server_process.h"
#include "tests/end_to_end/small_disk.h"
#include "tests/end_to_end/temp_dir.h"

namespace calserve::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr absl::Duration kTimeout = absl::Seconds(60);

class StartupTest : public ::testing::Test {
 protected:
  ServerFlags Flags() const { return {.data_dir = data_dir_.path()}; }
  // Starts a server that must not come up.
  void Start(const ServerFlags& flags) {
    ServerProcess server(flags);
    exit_code_ = server.WaitForExit(kTimeout).value_or(-1);
    log_ = server.log();
  }

  // A model directory as the demo's, to be damaged.
  std::string CopyModels() {
    const std::string copy = scratch_ / "models";
    fs::copy(DemoModels(), copy, fs::copy_options::recursive);
    return copy;
  }

  TempDir data_dir_, scratch_;
  int exit_code_ = -1;
  std::string log_;
};

TEST_F(StartupTest, APostgresqlStoreIsNotSupportedYet) {
  ServerFlags flags = Flags();
  flags.more = {"--store", "postgresql://user@host/calserve"};
  Start(flags);
  EXPECT_EQ(exit_code_, 5) << log_;
  EXPECT_THAT(log_, HasSubstr("not supported yet"));
}

TEST_F(StartupTest, WhatCannotBePrintedIsAnError) {
  for (const std::string& asked :
       {std::string("--help"), std::string("--version"), "--print-config --model-repository " + DemoModels(),
        "--validate-only --model-repository " + DemoModels(), "--check " + DemoModels()}) {
    const std::string command = BuiltProgram("server/calserve-server") + " " + asked;
    ChildProcess printing({"/bin/sh", "-c", command + " > /dev/full"});
    EXPECT_EQ(printing.WaitForExit(kTimeout), 1) << asked;
    EXPECT_THAT(printing.log(), HasSubstr("cannot write to standard output")) << asked;
  }
}

TEST_F(StartupTest, AMissingTicketKeyFileIsNamedWithWhatToDo) {
  ServerFlags flags = Flags();
  flags.more = {"--tickets-key-file", scratch_ / "absent"};
  Start(flags);
  EXPECT_EQ(exit_code_, 5) << log_;
  EXPECT_THAT(log_, AllOf(HasSubstr(scratch_ / "absent"), HasSubstr("leave --tickets-key-file out")));
}

TEST_F(StartupTest, ATakenPortIsNamed) {
  ServerProcess first(Flags());
  ASSERT_TRUE(first.WaitUntilServing()) << first.log();
  ServerFlags flags = Flags();
  const TempDir other_data;
  flags.data_dir = other_data.path();
  flags.listen = first.address();
  Start(flags);
  EXPECT_EQ(exit_code_, 4) << log_;
  EXPECT_THAT(log_, HasSubstr(first.address()));
}

TEST_F(StartupTest, AMissingModelFileIsNamed) {
  ServerFlags flags = Flags();
  flags.model_repository = CopyModels();
  fs::remove(flags.model_repository + "/fashion_mnist/1/model.pt");
  Start(flags);
  EXPECT_EQ(exit_code_, 3) << log_;
  EXPECT_THAT(log_, AllOf(HasSubstr("fashion_mnist/1"), HasSubstr("model.pt")));
}

TEST_F(StartupTest, AFileThatIsNoModelIsNamed) {
  ServerFlags flags = Flags();
  flags.model_repository = CopyModels();
  std::ofstream(flags.model_repository + "/fashion_mnist/1/model.pt") << "this is no model";
  Start(flags);
  EXPECT_EQ(exit_code_, 3) << log_;
  EXPECT_THAT(log_, HasSubstr("fashion_mnist/1/model.pt"));
}

TEST_F(StartupTest, AModelWhoseOutputDoesNotSuitItsLabelsIsNamed) {
  ServerFlags flags = Flags();
  flags.model_repository = CopyModels();
  std::ofstream(flags.model_repository + "/fashion_mnist/labels.txt", std::ios::app) << "An eleventh\n";
  Start(flags);
  EXPECT_EQ(exit_code_, 3) << log_;
  EXPECT_THAT(log_, AllOf(HasSubstr("10"), HasSubstr("11")));
}

TEST_F(StartupTest, AMissingModelRepositoryIsNamed) {
  ServerFlags flags = Flags();
  flags.model_repository = scratch_ / "nowhere";
  Start(flags);
  EXPECT_THAT(exit_code_, testing::AnyOf(2, 3)) << log_;
  EXPECT_THAT(log_, HasSubstr(flags.model_repository));
}

TEST_F(StartupTest, AnUnknownFlagIsWrongUsage) {
  ServerFlags flags = Flags();
  flags.more = {"--no-such-flag", "1"};
  Start(flags);
  EXPECT_EQ(exit_code_, 2) << log_;
  EXPECT_THAT(log_, HasSubstr("no-such-flag"));
}

TEST_F(StartupTest, ABadValueIsWrongUsageAndNamed) {
  ServerFlags flags = Flags();
  flags.more = {"--grpc-drain-timeout", "soon"};
  Start(flags);
  EXPECT_EQ(exit_code_, 2) << log_;
  EXPECT_THAT(log_, AllOf(HasSubstr("--grpc-drain-timeout"), HasSubstr("soon")));
}

TEST_F(StartupTest, AStoreThatAnotherServerHasOpenIsRefusedAndTheHolderNamed) {
  ServerProcess first(Flags());
  ASSERT_TRUE(first.WaitUntilServing()) << first.log();
  Start(Flags());
  EXPECT_EQ(exit_code_, 5) << log_;
  EXPECT_THAT(log_, HasSubstr(std::to_string(first.pid())));
  // The first is none the worse, and when it is gone the next has the store.
  first.Signal(SIGKILL);
  ASSERT_EQ(first.WaitForExit(kTimeout), 128 + SIGKILL);
  ServerProcess next(Flags());
  EXPECT_TRUE(next.WaitUntilServing()) << next.log();
}

TEST_F(StartupTest, AStoreFileOfAnotherProgramIsRefused) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((data_dir_ / "calserve.db").c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "CREATE TABLE shopping (item)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  Start(Flags());
  EXPECT_EQ(exit_code_, 5) << log_;
  EXPECT_THAT(log_, HasSubstr("calserve.db"));
}

TEST_F(StartupTest, AReadOnlyDataDirectoryIsRefused) {
  SmallDisk disk(1 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "needs root: a read-only file system has to be mounted";
  disk.MakeReadOnly();
  ServerFlags flags = Flags();
  flags.data_dir = disk.path() + "/data";
  Start(flags);
  EXPECT_EQ(exit_code_, 5) << log_;
  EXPECT_THAT(log_, AllOf(HasSubstr(disk.path()), HasSubstr("read-only")));
}

TEST_F(StartupTest, AFullDiskIsRefused) {
  SmallDisk disk(1 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "needs root: a small file system has to be mounted";
  disk.Fill();
  ServerFlags flags = Flags();
  flags.data_dir = disk.path() + "/data";
  Start(flags);
  EXPECT_EQ(exit_code_, 5) << log_;
  EXPECT_THAT(log_, HasSubstr(disk.path()));
  EXPECT_THAT(log_, testing::AnyOf(HasSubstr("no space"), HasSubstr("full")));
}

}  // namespace
}  // namespace calserve::e2e
