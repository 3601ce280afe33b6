#include "server/access/tls_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/access/test_keys.h"

namespace calserve {
namespace {

using test::TestKey;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TlsFilesTest : public ::testing::Test {
 protected:
  TlsFilesTest()
      : dir_(absl::StrCat(::testing::TempDir(), "/tls.", getpid(), ".",
                          ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(dir_);
    Write("key", first_.PrivatePem());
    Write("certificate", first_.CertificatePem("first"));
  }
  ~TlsFilesTest() override { std::filesystem::remove_all(dir_); }

  void Write(const std::string& name, const std::string& content, mode_t mode = 0640) const {
    std::ofstream(dir_ + "/" + name) << content;
    chmod((dir_ + "/" + name).c_str(), mode);
  }
  TlsOptions Options() const { return {dir_ + "/certificate", dir_ + "/key", ""}; }
  std::string Refusal(const TlsOptions& options) const {
    return std::string(TlsFiles::Create(options).status().message());
  }

  const std::string dir_;
  const TestKey first_{TestKey::Kind::kEc}, second_{TestKey::Kind::kEc};
};

TEST_F(TlsFilesTest, APipeIsNotWaitedFor) {
  std::filesystem::remove(dir_ + "/key");
  ASSERT_EQ(mkfifo((dir_ + "/key").c_str(), 0600), 0);
  EXPECT_THAT(Refusal(Options()), HasSubstr("/key is not a regular file"));
}

TEST_F(TlsFilesTest, ACertificateIsTakenOnlyOnceItsKeyIsThereToo) {
  const auto files = TlsFiles::Create(Options());
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ((*files)->generation(), 1u);
  (*files)->Reload();
  EXPECT_EQ((*files)->generation(), 1u);
  Write("certificate", second_.CertificatePem("second"));
  (*files)->Reload();
  EXPECT_EQ((*files)->generation(), 1u);
  EXPECT_EQ((*files)->Current()->key, first_.PrivatePem());
  Write("key", second_.PrivatePem());
  (*files)->Reload();
  EXPECT_EQ((*files)->generation(), 2u);
  EXPECT_EQ((*files)->Current()->key, second_.PrivatePem());
}

TEST_F(TlsFilesTest, FilesThatGoAwayLeaveWhatWasInForce) {
  const auto files = TlsFiles::Create(Options());
  std::filesystem::remove(dir_ + "/key");
  (*files)->Reload();
  EXPECT_EQ((*files)->Current()->key, first_.PrivatePem());
}

TEST_F(TlsFilesTest, AWrongFileIsNamedWithoutWhatIsInIt) {
  EXPECT_THAT(Refusal({dir_ + "/certificate", "", ""}), HasSubstr("tls.key_file is not set"));
  EXPECT_THAT(Refusal({dir_ + "/none", dir_ + "/key", ""}), HasSubstr(dir_ + "/none cannot be read"));
  EXPECT_THAT(Refusal({dir_ + "/key", dir_ + "/key", ""}),
              AllOf(HasSubstr("holds no PEM certificate"), Not(HasSubstr("PRIVATE"))));
  Write("key", second_.PrivatePem());
  EXPECT_THAT(Refusal(Options()), HasSubstr("is not the key of the first certificate"));
  Write("key", "nothing");
  EXPECT_THAT(Refusal(Options()), HasSubstr("holds no PEM private key"));
  Write("key", first_.PrivatePem(), 0644);
  EXPECT_THAT(Refusal(Options()), HasSubstr("can be read by everybody"));
  Write("key", first_.PrivatePem());
  TlsOptions mutual = Options();
  mutual.client_ca_file = dir_ + "/key";
  EXPECT_THAT(Refusal(mutual), AllOf(HasSubstr("tls.client_ca_file"), HasSubstr("holds no PEM certificate")));
}

}  // namespace
}  // namespace calserve
