#include "server/rpc/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

// The details as a client unpacks them.
struct Details {
  explicit Details(const grpc::Status& status) {
    EXPECT_TRUE(whole.ParseFromString(status.error_details()));
    for (const google::protobuf::Any& any : whole.details()) {
      if (any.Is<google::rpc::ErrorInfo>()) any.UnpackTo(&info.emplace());
      if (any.Is<google::rpc::BadRequest>()) any.UnpackTo(&bad_request.emplace());
      if (any.Is<google::rpc::RetryInfo>()) any.UnpackTo(&retry.emplace());
    }
  }
  google::rpc::Status whole;
  std::optional<google::rpc::ErrorInfo> info;
  std::optional<google::rpc::BadRequest> bad_request;
  std::optional<google::rpc::RetryInfo> retry;
};

// 3000 bytes or a little more, in characters of four.
std::string LongText(std::string text) {
  while (text.size() < 3000) text += "\xF0\x9F\x90\x88";  // A cat.
  return text;
}

TEST(ToGrpcStatusTest, OkHasNoDetails) {
  const grpc::Status status = ToGrpcStatus(absl::OkStatus());
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.error_details(), "");
}

TEST(ToGrpcStatusTest, EveryCodeKeepsItsNumberAndItsSentence) {
  for (int code = 1; code <= 16; ++code) {
    const grpc::Status status = ToGrpcStatus(absl::Status(static_cast<absl::StatusCode>(code), "the rule"));
    EXPECT_EQ(status.error_code(), code);
    EXPECT_EQ(status.error_message(), "the rule");
    const Details details(status);
    EXPECT_EQ(details.whole.code(), code);
    EXPECT_EQ(details.whole.message(), "the rule");
  }
}

TEST(ToGrpcStatusTest, TheReasonIsTheErrorsOwnOrItsCode) {
  const Details own(ToGrpcStatus(WithReason(absl::NotFoundError("no"), "MODEL_NOT_FOUND")));
  ASSERT_TRUE(own.info.has_value());
  EXPECT_EQ(own.info->reason(), "MODEL_NOT_FOUND");
  EXPECT_EQ(own.info->domain(), "calserve");
  const Details code(ToGrpcStatus(absl::NotFoundError("no")));
  ASSERT_TRUE(code.info.has_value());
  EXPECT_EQ(code.info->reason(), "NOT_FOUND");
}

TEST(ToGrpcStatusTest, AFieldIsAViolationOfTheRequest) {
  const Details details(ToGrpcStatus(WithField(absl::InvalidArgumentError("was 9"), "options.top_k")));
  ASSERT_TRUE(details.bad_request.has_value());
  ASSERT_EQ(details.bad_request->field_violations_size(), 1);
  EXPECT_EQ(details.bad_request->field_violations(0).field(), "options.top_k");
  EXPECT_EQ(details.bad_request->field_violations(0).description(), "was 9");
  EXPECT_FALSE(Details(ToGrpcStatus(absl::InvalidArgumentError("no field"))).bad_request.has_value());
}

TEST(ToGrpcStatusTest, WhatMayBeRetriedSaysWhen) {
  const Details known(ToGrpcStatus(WithRetryAfter(absl::UnavailableError("busy"), absl::Milliseconds(2500))));
  ASSERT_TRUE(known.retry.has_value());
  EXPECT_EQ(known.retry->retry_delay().seconds(), 2);
  EXPECT_EQ(known.retry->retry_delay().nanos(), 500'000'000);
  for (const absl::Status& status : {absl::ResourceExhaustedError("full"), absl::UnavailableError("down")}) {
    const Details unknown(ToGrpcStatus(status));
    ASSERT_TRUE(unknown.retry.has_value());
    EXPECT_EQ(unknown.retry->retry_delay().nanos(), 50'000'000);
  }
}

TEST(ToGrpcStatusTest, WhatARetryDoesNotMendDoesNotAskForOne) {
  for (const absl::Status& status :
       {absl::InternalError("bug"), absl::DeadlineExceededError("late"),
        WithRetryAfter(absl::InvalidArgumentError("no"), absl::Seconds(1)),
        WithRetryAfter(absl::UnavailableError("failed"), absl::InfiniteDuration())}) {
    EXPECT_FALSE(Details(ToGrpcStatus(status)).retry.has_value()) << status;
  }
}

TEST(ToGrpcStatusTest, ALongSentenceIsCut) {
  const grpc::Status status =
      ToGrpcStatus(WithField(absl::InvalidArgumentError(std::string(100'000, 'x')), "model"));
  EXPECT_EQ(status.error_message(), std::string(1000, 'x'));
  EXPECT_LT(status.error_details().size(), 5000);
  EXPECT_EQ(Details(status).bad_request->field_violations(0).description().size(), 1000);
  EXPECT_EQ(ToGrpcStatus(absl::InternalError(std::string(1000, 'x'))).error_message().size(), 1000);
}

TEST(ToGrpcStatusTest, WhatWouldSteerATerminalIsEscaped) {
  const absl::Status status = absl::NotFoundError("no '\x1b[31m\u202e\n\u00fc'");
  EXPECT_EQ(ToGrpcStatus(status).error_message(), "no '\\u001b[31m\\u202e\\u000a\u00fc'");
  EXPECT_EQ(ToFailure(status).message(), ToGrpcStatus(status).error_message());
  EXPECT_EQ(ToGrpcStatus(absl::NotFoundError(std::string(1000, '\x1b'))).error_message().size(), 1000);
}

// A client's own name of something: its trailer is refused by its own gRPC beyond 8 KiB.
TEST(ToGrpcStatusTest, ALongFieldIsCut) {
  const grpc::Status status =
      ToGrpcStatus(WithField(absl::InvalidArgumentError("no such"), std::string(300'000, 'y')));
  EXPECT_EQ(Details(status).bad_request->field_violations(0).field(), std::string(200, 'y'));
}

// A sentence may quote what the client sent; half a character would make the details unreadable.
TEST(ToGrpcStatusTest, ALongSentenceIsNotCutWithinACharacter) {
  for (const std::string before : {"", "x", "xx", "xxx"}) {
    const std::string sentence = LongText(before);
    const grpc::Status status = ToGrpcStatus(absl::NotFoundError(sentence));
    EXPECT_EQ(status.error_message().size() % 4, before.size());
    EXPECT_GT(status.error_message().size(), 996);
    EXPECT_EQ(Details(status).whole.message(), status.error_message());
    v1::Failure read;
    EXPECT_TRUE(read.ParseFromString(ToFailure(absl::NotFoundError(sentence)).SerializeAsString()));
  }
}

TEST(ToGrpcStatusTest, NeitherIsALongField) {
  for (const std::string before : {"", "x", "xx", "xxx"}) {
    const Details details(ToGrpcStatus(WithField(absl::NotFoundError("no such"), LongText(before))));
    ASSERT_TRUE(details.bad_request.has_value());
    const std::string& field = details.bad_request->field_violations(0).field();
    EXPECT_EQ(field.size() % 4, before.size());
    EXPECT_GT(field.size(), 196);
    EXPECT_LE(field.size(), 200);
  }
}

TEST(ToFailureTest, SaysTheSameOfOneRequestOfAStream) {
  const v1::Failure failure = ToFailure(
      WithRetryAfter(WithReason(absl::ResourceExhaustedError("full"), "QUEUE_FULL"), absl::Milliseconds(70)));
  EXPECT_EQ(failure.code(), 8);
  EXPECT_EQ(failure.message(), "full");
  EXPECT_EQ(failure.reason(), "QUEUE_FULL");
  EXPECT_EQ(failure.retry_after_millis(), 70);
}

TEST(ToFailureTest, ARetryIsNeverAtOnceAndNeverOfWhatItDoesNotMend) {
  const absl::Status soon = WithRetryAfter(absl::UnavailableError("busy"), absl::Microseconds(10));
  EXPECT_EQ(ToFailure(soon).retry_after_millis(), 1);
  EXPECT_EQ(ToFailure(absl::UnavailableError("busy")).retry_after_millis(), 50);
  EXPECT_EQ(ToFailure(WithRetryAfter(absl::UnavailableError("failed"), absl::InfiniteDuration()))
                .retry_after_millis(),
            0);
  EXPECT_EQ(ToFailure(absl::InvalidArgumentError("no")).retry_after_millis(), 0);
  EXPECT_EQ(ToFailure(absl::InvalidArgumentError("no")).reason(), "INVALID_ARGUMENT");
}

TEST(ToFailureTest, ALongSentenceIsCut) {
  EXPECT_EQ(ToFailure(absl::InternalError(std::string(100'000, 'x'))).message().size(), 1000);
}

}  // namespace
}  // namespace calserve
