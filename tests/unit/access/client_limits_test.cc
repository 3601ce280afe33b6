#include "server/access/client_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

class ClientLimitsTest : public ::testing::Test {
 protected:
  void Limit(const LimitOptions& options) { limits_.emplace(options, clock_); }
  absl::StatusOr<ClientLimits::Permit> Admit(const std::string& who = "token:a") {
    return limits_->Admit(who);
  }
  // How many of `calls` calls in a row were admitted; each ends at once.
  int Burst(int calls, const std::string& who = "token:a") {
    int admitted = 0;
    for (int i = 0; i < calls; ++i) admitted += Admit(who).ok() ? 1 : 0;
    return admitted;
  }

  ManualMonotonicClock clock_;
  std::optional<ClientLimits> limits_;
};

TEST_F(ClientLimitsTest, WithoutLimitsNobodyIsRemembered) {
  Limit({});
  EXPECT_EQ(Burst(1000), 1000);
  EXPECT_EQ(limits_->identities(), 0u);
}

TEST_F(ClientLimitsTest, ASecondsWorthOfCallsMayComeAtOnceAndThenTheRate) {
  Limit({.rate_limit = 10});
  EXPECT_EQ(Burst(100), 10);
  clock_.Advance(absl::Milliseconds(99));
  EXPECT_EQ(Burst(100), 0);
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(Burst(100), 1);
  clock_.Advance(absl::Hours(1));  // A bucket holds no more than a second's worth.
  EXPECT_EQ(Burst(100), 10);
}

TEST_F(ClientLimitsTest, ARefusalSaysWhenTheNextCallMayCome) {
  Limit({.rate_limit = 4});
  EXPECT_EQ(Burst(4), 4);
  clock_.Advance(absl::Milliseconds(50));
  const absl::Status refused = Admit().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(refused), "RATE_LIMIT");
  ASSERT_EQ(ErrorRetryAfter(refused), absl::Milliseconds(200));
  clock_.Advance(absl::Milliseconds(200));
  EXPECT_TRUE(Admit().ok());
}

TEST_F(ClientLimitsTest, OneClientsCallsAreNotAnothers) {
  Limit({.rate_limit = 2, .concurrency_limit = 1});
  EXPECT_EQ(Burst(5, "token:a"), 2);
  EXPECT_EQ(Burst(5, "token:b"), 2);
  const auto held = Admit("token:c");
  EXPECT_EQ(ErrorReason(Admit("token:c").status()), "CONCURRENCY_LIMIT");
  EXPECT_TRUE(Admit("token:d").ok());
}

TEST_F(ClientLimitsTest, AMessageOfAStreamCountsAsACallDoes) {
  Limit({.rate_limit = 3});
  absl::StatusOr<ClientLimits::Permit> stream = Admit();
  ASSERT_TRUE(stream.ok());
  EXPECT_TRUE(stream->NextMessage().ok());
  EXPECT_TRUE(stream->NextMessage().ok());
  EXPECT_EQ(ErrorReason(stream->NextMessage()), "RATE_LIMIT");
}

TEST_F(ClientLimitsTest, ACallThatEndsMakesRoomForTheNext) {
  Limit({.concurrency_limit = 2});
  absl::StatusOr<ClientLimits::Permit> first = Admit(), second = Admit();
  EXPECT_EQ(ErrorReason(Admit().status()), "CONCURRENCY_LIMIT");
  ClientLimits::Permit moved = *std::move(first);  // Moving ends nothing.
  EXPECT_FALSE(Admit().ok());
  moved = ClientLimits::Permit();
  EXPECT_TRUE(Admit().ok());
}

TEST_F(ClientLimitsTest, TheNumberOfClientsRememberedIsBounded) {
  Limit({.rate_limit = 1, .concurrency_limit = 1, .max_identities = 8});
  std::vector<ClientLimits::Permit> under_way;
  for (int i = 0; i < 8; ++i) under_way.push_back(*Admit(absl::StrCat("jwt:", i)));
  EXPECT_EQ(limits_->identities(), 8u);
  // Who finds no room shares one allowance with all others who do not.
  EXPECT_TRUE(Admit("jwt:x").ok());
  EXPECT_FALSE(Admit("jwt:y").ok());
  EXPECT_EQ(limits_->identities(), 8u);
  under_way.clear();
  clock_.Advance(absl::Seconds(2));  // All are idle and their buckets full: they can be forgotten.
  EXPECT_TRUE(Admit("jwt:z").ok());
  EXPECT_EQ(limits_->identities(), 1u);
}

TEST_F(ClientLimitsTest, AClientThatIsOutOfCallsIsNotForgottenIntoAFullBucket) {
  Limit({.rate_limit = 1, .max_identities = 2});
  EXPECT_EQ(Burst(2, "jwt:a"), 1);
  EXPECT_EQ(Burst(2, "jwt:b"), 1);
  Burst(1, "jwt:c");
  EXPECT_EQ(Burst(1, "jwt:a"), 0);
}

}  // namespace
}  // namespace calserve
