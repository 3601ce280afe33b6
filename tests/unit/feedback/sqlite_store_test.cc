#include "server/feedback/sqlite_store.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "tests/unit/feedback/feedback_testing.h"
#include "tests/unit/feedback/sqlite_fixture.h"

// What the SQLite engine does beyond the conformance suite: where it lives, and what happens when the place
// goes bad.
namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::StatusCode kUnavailable = absl::StatusCode::kUnavailable;
constexpr absl::StatusCode kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

TEST_F(SqliteStoreTest, MakesAPrivateDirectoryAndFiles) {
  data_dir_ = directory_.path() + "/a/b";
  ASSERT_TRUE(Open().ok());
  struct stat info;
  ASSERT_EQ(stat(data_dir_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    ASSERT_EQ(stat((file() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 07777, 0600u) << suffix;
  }
}

TEST_F(SqliteStoreTest, ADirectoryMayEndInASlashAndAUrlMayNameTheFile) {
  data_dir_ += "/";
  ASSERT_TRUE(Open().ok());
  const std::string path = directory_.path() + "/other/feedback.db";
  EXPECT_TRUE(OpenStore({.url = "sqlite://" + path}).ok());
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(SqliteStoreTest, OtherUrlsAreRefused) {
  for (const char* url : {"postgresql://host/db", "postgres://host/db"}) {
    EXPECT_THAT(
        OpenStore({.url = url}).status(),
        StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("not supported yet: use the embedded store")));
  }
  for (const char* url : {"mysql://host/db", "sqlite://", "calserve.db"}) {
    EXPECT_THAT(OpenStore({.url = url}).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(url)));
  }
}

TEST_F(SqliteStoreTest, ASecondServerIsToldWhoHasTheStore) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const bool opened = Open().ok();
    (void)!write(ready[1], opened ? "y" : "n", 1);
    pause();
  }
  char opened = 0;
  ASSERT_EQ(read(ready[0], &opened, 1), 1);
  ASSERT_EQ(opened, 'y');
  EXPECT_THAT(Open(), StatusIs(kUnavailable, AllOf(HasSubstr("in use by another server"),
                                                   HasSubstr(absl::StrCat("process ", child, " on ")),
                                                   HasSubstr("another --data-dir"))));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(Open().ok()) << "the lock ends with its process";
  close(ready[0]);
  close(ready[1]);
}

TEST_F(SqliteStoreTest, AnotherProgramsDatabaseIsRefusedUntouched) {
  std::filesystem::create_directory(data_dir_);
  Outsider(file()).Execute("CREATE TABLE feedback (theirs)");
  EXPECT_THAT(Open(), StatusIs(kFailedPrecondition, HasSubstr("another program")));
  Outsider(file()).Execute("INSERT INTO feedback VALUES (1)");
}

TEST_F(SqliteStoreTest, AFileThatIsNoDatabaseIsRefusedUntouched) {
  std::filesystem::create_directory(data_dir_);
  std::ofstream(file()) << std::string(10'000, 'x');
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not a SQLite database")));
  EXPECT_EQ(std::filesystem::file_size(file()), 10'000u);
}

TEST_F(SqliteStoreTest, DamageIsReported) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(5000).ok());
  store_.reset();
  std::fstream damage(file(), std::ios::in | std::ios::out);
  damage.seekp(200'000);
  damage << std::string(400'000, '\x55');
  damage.close();
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(store_->Read({}, 10'000).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SqliteStoreTest, ADataDirectoryThatIsAFileIsRefused) {
  std::ofstream(directory_.path() + "/file") << "x";
  data_dir_ = directory_.path() + "/file";
  EXPECT_THAT(Open(), StatusIs(kFailedPrecondition, HasSubstr("Not a directory")));
  data_dir_ += "/below";
  EXPECT_THAT(Open(), StatusIs(kFailedPrecondition, HasSubstr("/file")));
}

TEST_F(SqliteStoreTest, ADirectoryThatMayNotBeWrittenIsAStartUpError) {
  ASSERT_EQ(mkdir(data_dir_.c_str(), 0500), 0);
  const uid_t user = geteuid();
  if (user == 0) {  // whom permissions do not bind
    ASSERT_EQ(chmod(directory_.path().c_str(), 0755), 0);
    ASSERT_EQ(chmod(data_dir_.c_str(), 0555), 0);
    ASSERT_EQ(seteuid(65534), 0);
  }
  const absl::Status status = Open();
  ASSERT_EQ(seteuid(user), 0);
  EXPECT_THAT(status, StatusIs(kFailedPrecondition, HasSubstr("may not write there")));
}

TEST_F(SqliteStoreTest, ALockOfAnotherProgramIsAnErrorAtStartAndPassesUnderLoad) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append().ok());
  Outsider outsider(file());
  outsider.Execute("BEGIN EXCLUSIVE");
  EXPECT_THAT(Append(), StatusIs(kUnavailable, HasSubstr("locked by another process")));
  EXPECT_TRUE(store_->Head().ok()) << "reading does not wait for a writer";
  EXPECT_THAT(Open(), StatusIs(kUnavailable, HasSubstr("locked by another process")));
  outsider.Execute("ROLLBACK");
  ASSERT_TRUE(Open().ok());
  outsider.Execute("BEGIN EXCLUSIVE");
  EXPECT_THAT(Append(), StatusIs(kUnavailable, HasSubstr("locked")));
  outsider.Execute("ROLLBACK");
  EXPECT_TRUE(Append().ok());
  ExpectLogIsWhole();
}

// Writes beyond a file size limit fail with EFBIG, which SQLite takes for an I/O error: a disk that fails.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() { EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &before_), 0); }

 private:
  rlimit before_;
};

TEST_F(SqliteStoreTest, RecoversFromIoErrorsUnaided) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append().ok());
  {
    const FileSizeLimit limit(256 << 10);
    EXPECT_THAT(Append(5000), StatusIs(kUnavailable, HasSubstr("I/O error")));
    EXPECT_THAT(Append(5000), StatusIs(kUnavailable, HasSubstr("I/O error")));
  }
  ExpectLogIsWhole();
  EXPECT_TRUE(Append(5000).ok());
  ExpectLogIsWhole();
}

TEST_F(SqliteStoreTest, ACheckpointThatCannotBeWrittenWholeLeavesTheOneBefore) {
  constexpr size_t kLarge = 40 << 20;  // More than SQLite keeps in memory: the failure is in the middle.
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(SaveCheckpoint(1, 1000).ok());
  {
    const FileSizeLimit limit(24 << 20);
    EXPECT_THAT(SaveCheckpoint(2, kLarge), StatusIs(kUnavailable, HasSubstr("I/O error")));
  }
  EXPECT_EQ((*store_->LoadCheckpoint("windows"))->position, 1);
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a", 1), "1");
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "b", 1), std::string(1000, '1'));
  ASSERT_TRUE(SaveCheckpoint(3, kLarge).ok());
  EXPECT_EQ((*store_->LoadCheckpoint("windows"))->position, 3);
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "b", 3), std::string(kLarge, '3'));
}

TEST_F(SqliteStoreTest, AFileThatWasMovedAwayIsUnavailableUntilItIsBack) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append().ok());
  std::filesystem::rename(data_dir_, data_dir_ + ".moved");
  EXPECT_THAT(Append(), StatusIs(kUnavailable, HasSubstr("moved or deleted")));
  EXPECT_THAT(Append(), StatusIs(kUnavailable, HasSubstr("cannot be opened")));
  std::filesystem::rename(data_dir_ + ".moved", data_dir_);
  EXPECT_TRUE(Append().ok());
  ExpectLogIsWhole();
}

TEST_F(SqliteStoreTest, AnotherStoreInItsPlaceIsNotWritten) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append().ok());
  std::filesystem::rename(data_dir_, data_dir_ + ".moved");
  ASSERT_TRUE(OpenStore({.data_dir = data_dir_}).ok());
  EXPECT_EQ(Append().code(), kUnavailable);
  EXPECT_THAT(Append(), StatusIs(kUnavailable, HasSubstr("replaced by that of deployment")));
  std::filesystem::remove_all(data_dir_);
  std::filesystem::rename(data_dir_ + ".moved", data_dir_);
  EXPECT_TRUE(Append().ok());
  ExpectLogIsWhole();
}

TEST_F(SqliteStoreTest, ReadersSeeTheLogAsItWasWhileAWriterIsBusy) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(3).ok());
  Outsider outsider(file());
  outsider.Execute("BEGIN IMMEDIATE; DELETE FROM feedback");
  ExpectLogIsWhole();
}

// A file system of its own, of `size` bytes, in memory. Needs the right to mount.
class SmallDiskTest : public SqliteStoreTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(data_dir_);
    if (mount("tmpfs", data_dir_.c_str(), "tmpfs", 0, "size=2m,mode=0700") != 0) {
      GTEST_SKIP() << "this user may not mount a small tmpfs";
    }
    mounted_ = true;
  }
  void TearDown() override {
    store_.reset();
    if (mounted_) umount2(data_dir_.c_str(), MNT_DETACH);
  }
  void Fill() {
    std::ofstream filler(filler_, std::ios::app);
    while (filler << std::string(4096, 'x') << std::flush) continue;
  }
  void Free() { std::filesystem::remove(filler_); }

  const std::string filler_ = data_dir_ + "/filler";
  bool mounted_ = false;
};

TEST_F(SmallDiskTest, AFullDiskIsAStartUpErrorForANewStore) {
  Fill();
  EXPECT_THAT(Open(), StatusIs(kUnavailable, HasSubstr("no space left")));
  Free();
  EXPECT_TRUE(Open().ok());
}

TEST_F(SmallDiskTest, AFullDiskIsAStartUpErrorForAnOldStore) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(100).ok());
  store_.reset();
  Fill();
  EXPECT_THAT(Open(), StatusIs(kUnavailable, HasSubstr("no space left")));
  Free();
  ASSERT_TRUE(Open().ok());
  ExpectLogIsWhole();
}

TEST_F(SmallDiskTest, ADiskThatFillsUpUnderLoadIsUnavailableUntilThereIsSpace) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(100).ok());
  Fill();
  absl::Status status = absl::OkStatus();
  for (int i = 0; i < 100 && status.ok(); ++i) status = Append(100);
  EXPECT_THAT(status, StatusIs(kUnavailable, HasSubstr("no space left")));
  for (int i = 0; i < 3; ++i) EXPECT_THAT(Append(100), StatusIs(kUnavailable, HasSubstr("no space left")));
  ExpectLogIsWhole();
  Free();
  EXPECT_TRUE(Append(100).ok());
  ExpectLogIsWhole();
}

TEST_F(SmallDiskTest, AReadOnlyFileSystemIsAStartUpError) {
  ASSERT_TRUE(Open().ok());
  store_.reset();
  ASSERT_EQ(mount("tmpfs", data_dir_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=2m"), 0);
  EXPECT_THAT(Open(), StatusIs(kFailedPrecondition, HasSubstr("read-only")));
  ASSERT_EQ(mount("tmpfs", data_dir_.c_str(), "tmpfs", MS_REMOUNT, "size=2m"), 0);
  EXPECT_TRUE(Open().ok());
}

}  // namespace
}  // namespace calserve
