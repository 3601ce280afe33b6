#include "client/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/errors.h"

namespace calserve::client {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);
const absl::Time kFar = kNow + absl::Hours(1);
constexpr double kNoJitter = 0.5;

RetryOptions Options() {
  RetryOptions options;
  options.max_attempts = 100;
  options.initial_backoff = absl::Milliseconds(100);
  options.max_backoff = absl::Seconds(1);
  options.multiplier = 2;
  options.jitter = 0.2;
  return options;
}

std::optional<absl::Duration> Delay(int attempts, double random = kNoJitter,
                                    absl::Status error = absl::UnavailableError("down")) {
  return NextRetryDelay(Options(), error, attempts, kNow, kFar, random);
}

TEST(RetryTest, OnlyUnavailableAndResourceExhaustedAreRetried) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status error(static_cast<absl::StatusCode>(code), "x");
    const bool retried = absl::IsUnavailable(error) || absl::IsResourceExhausted(error);
    EXPECT_EQ(Delay(1, kNoJitter, error).has_value(), retried) << error;
  }
}

TEST(RetryTest, BackoffGrowsToItsMaximum) {
  EXPECT_EQ(Delay(1), absl::Milliseconds(100));
  EXPECT_EQ(Delay(2), absl::Milliseconds(200));
  EXPECT_EQ(Delay(4), absl::Milliseconds(800));
  EXPECT_EQ(Delay(5), absl::Seconds(1));
  EXPECT_EQ(Delay(99), absl::Seconds(1));
}

TEST(RetryTest, JitterStaysWithinItsShare) {
  EXPECT_EQ(Delay(1, 0), absl::Milliseconds(80));
  EXPECT_LT(*Delay(1, 0.999999), absl::Milliseconds(120));
  EXPECT_GT(*Delay(1, 0.999999), absl::Milliseconds(119));
}

TEST(RetryTest, StopsAtMaxAttempts) {
  RetryOptions options = Options();
  options.max_attempts = 3;
  const absl::Status error = absl::UnavailableError("down");
  EXPECT_TRUE(NextRetryDelay(options, error, 2, kNow, kFar, kNoJitter).has_value());
  EXPECT_FALSE(NextRetryDelay(options, error, 3, kNow, kFar, kNoJitter).has_value());
}

TEST(RetryTest, NeverWaitsPastTheDeadline) {
  const absl::Status error = absl::UnavailableError("down");
  const auto delay = [&](absl::Duration left) {
    return NextRetryDelay(Options(), error, 1, kNow, kNow + left, kNoJitter);
  };
  EXPECT_FALSE(delay(absl::ZeroDuration()).has_value());
  EXPECT_FALSE(delay(absl::Milliseconds(100)).has_value());
  EXPECT_TRUE(delay(absl::Milliseconds(101)).has_value());
}

TEST(RetryTest, RetryInfoIsALowerBound) {
  absl::Status error = absl::ResourceExhaustedError("full");
  AddRetryAfter(absl::Milliseconds(700), &error);
  EXPECT_EQ(Delay(1, 0, error), absl::Milliseconds(700));
  EXPECT_EQ(Delay(5, kNoJitter, error), absl::Seconds(1));
  EXPECT_FALSE(NextRetryDelay(Options(), error, 1, kNow, kNow + absl::Milliseconds(700), 0).has_value());
  absl::Status fatal = absl::InvalidArgumentError("bad");
  AddRetryAfter(absl::Milliseconds(1), &fatal);
  EXPECT_FALSE(Delay(1, 0, fatal).has_value());
}

TEST(RetryTest, OptionsOutOfRangeAreNamed) {
  EXPECT_TRUE(CheckRetryOptions(RetryOptions()).ok());
  RetryOptions options;
  options.max_attempts = 0;
  EXPECT_THAT(CheckRetryOptions(options).message(), HasSubstr("max_attempts must be >= 1; was 0"));
  options = {};
  options.max_backoff = absl::Milliseconds(1);
  EXPECT_THAT(CheckRetryOptions(options).message(), HasSubstr("initial_backoff"));
  options = {};
  options.multiplier = 0.5;
  EXPECT_THAT(CheckRetryOptions(options).message(), HasSubstr("multiplier must be >= 1; was 0.5"));
  options = {};
  options.jitter = 1.5;
  EXPECT_THAT(CheckRetryOptions(options).message(), HasSubstr("jitter must be in [0, 1]; was 1.5"));
}

}  // namespace
}  // namespace calserve::client
