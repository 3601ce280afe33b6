#include "server/model/model_versions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;

// One version of a model whose loads fail.
class RetryTest : public testing::Test {
 protected:
  RetryTest() {
    Show("a");
    versions_.Activate(/*retry=*/false);
  }
  void Show(const std::string& fingerprint) {
    ListedModel listed;
    listed.versions[1].fingerprint = fingerprint;
    versions_.Show(std::move(listed));
  }
  // False where there is nothing to load.
  bool FailWith(const absl::Status& why) {
    if (versions_.Advance() != 1) return false;
    versions_.Begin(1);
    versions_.Finish(1, why);
    return true;
  }
  // Fails with `why`, then says how many looks it takes until the version is loaded again; 0: not in 1,000.
  int LooksUntilRetryOf(const absl::Status& why) {
    EXPECT_TRUE(FailWith(why));
    for (int looks = 1; looks <= 1000; ++looks) {
      versions_.Activate(/*retry=*/false);
      if (versions_.Advance() == 1) return looks;
    }
    return 0;
  }

  const absl::Status full_ = absl::ResourceExhaustedError("the disk is full");
  RepositoryHooks hooks_;
  ModelVersions versions_{"pets", hooks_, /*most_looks=*/60};
};

TEST_F(RetryTest, WhatIsNotTheVersionsFaultIsTriedAgainAndAgainEverLater) {
  std::vector<int> looks;
  for (int failed = 0; failed < 9; ++failed) looks.push_back(LooksUntilRetryOf(full_));
  EXPECT_THAT(looks, ElementsAre(1, 2, 4, 8, 16, 32, 60, 60, 60));
}

TEST_F(RetryTest, HoweverOftenItFails) {
  for (int failed = 0; failed < 70; ++failed) LooksUntilRetryOf(full_);
  EXPECT_EQ(LooksUntilRetryOf(full_), 60);
}

TEST_F(RetryTest, AnotherFailureOfTheKindIsNoNewBeginning) {
  EXPECT_EQ(LooksUntilRetryOf(full_), 1);
  EXPECT_EQ(LooksUntilRetryOf(absl::UnavailableError("busy")), 2);
  EXPECT_EQ(LooksUntilRetryOf(absl::DeadlineExceededError("slow")), 4);
}

TEST_F(RetryTest, AFaultOfTheVersionIsNotTriedAgain) {
  EXPECT_EQ(LooksUntilRetryOf(absl::InvalidArgumentError("no model")), 0);
}

TEST_F(RetryTest, OtherFilesAreTriedAtOnceAndBeginAnew) {
  for (int failed = 0; failed < 4; ++failed) LooksUntilRetryOf(full_);
  ASSERT_TRUE(FailWith(full_));
  ASSERT_NE(versions_.Advance(), 1);
  Show("b");
  EXPECT_EQ(LooksUntilRetryOf(full_), 1);
}

TEST_F(RetryTest, ACallTriesAtOnce) {
  for (int failed = 0; failed < 4; ++failed) LooksUntilRetryOf(full_);
  ASSERT_TRUE(FailWith(full_));
  ASSERT_NE(versions_.Advance(), 1);
  versions_.Activate(/*retry=*/true);
  EXPECT_EQ(versions_.Advance(), 1);
}

TEST_F(RetryTest, TheReasonIsSaidUntilThen) {
  LooksUntilRetryOf(full_);
  ASSERT_TRUE(FailWith(full_));
  versions_.Activate(/*retry=*/false);
  const ModelStatus status = versions_.Status();
  ASSERT_EQ(status.versions.size(), 1u);
  EXPECT_EQ(StateText(status.versions[0]), "FAILED");
  EXPECT_EQ(status.versions[0].reason, "the disk is full");
}

}  // namespace
}  // namespace calserve
