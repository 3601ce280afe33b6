#include "server/base/error_info.h"

#include <gtest/gtest.h>

namespace calserve {
namespace {

TEST(ErrorInfoTest, IsCarriedBesideCodeAndMessage) {
  absl::Status status = absl::ResourceExhaustedError("the queue is full");
  status = WithReason(status, "QUEUE_FULL");
  status = WithField(status, "inputs[3]");
  status = WithRetryAfter(status, absl::Milliseconds(250));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "the queue is full");
  EXPECT_EQ(ErrorReason(status), "QUEUE_FULL");
  EXPECT_EQ(ErrorField(status), "inputs[3]");
  EXPECT_EQ(ErrorRetryAfter(status), absl::Milliseconds(250));
}

TEST(ErrorInfoTest, IsEmptyWhereNothingWasPut) {
  const absl::Status status = absl::InternalError("broken");
  EXPECT_EQ(ErrorReason(status), "");
  EXPECT_EQ(ErrorField(status), "");
  EXPECT_EQ(ErrorRetryAfter(status), std::nullopt);
}

TEST(ErrorInfoTest, ThatNoRetryHelpsIsAnInfiniteDelay) {
  const absl::Status status = WithRetryAfter(absl::UnavailableError("failed"), absl::InfiniteDuration());
  EXPECT_EQ(ErrorRetryAfter(status), absl::InfiniteDuration());
}

TEST(ErrorInfoTest, AnotherSentenceKeepsTheRest) {
  const absl::Status status =
      WithMessage(WithField(WithReason(absl::NotFoundError("no such model"), "MODEL_NOT_FOUND"), "model"),
                  "there is none");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "there is none");
  EXPECT_EQ(ErrorReason(status), "MODEL_NOT_FOUND");
  EXPECT_EQ(ErrorField(status), "model");
}

TEST(ErrorInfoTest, LeavesOkAlone) {
  EXPECT_EQ(WithRetryAfter(WithField(WithReason(absl::OkStatus(), "R"), "f"), absl::Seconds(1)),
            absl::OkStatus());
}

}  // namespace
}  // namespace calserve
