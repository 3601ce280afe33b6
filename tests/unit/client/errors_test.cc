#include "client/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace calserve::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ErrorsTest, ReadsTheDetailsOfTheServer) {
  google::rpc::Status rpc;
  google::rpc::ErrorInfo info;
  info.set_reason("QUEUE_FULL");
  rpc.add_details()->PackFrom(info);
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_nanos(50'000'000);
  rpc.add_details()->PackFrom(retry);
  google::rpc::BadRequest bad;
  bad.add_field_violations()->set_field("inputs[3]");
  rpc.add_details()->PackFrom(bad);
  absl::Status status = absl::ResourceExhaustedError("the queue is full");
  AddErrorDetails(rpc.SerializeAsString(), &status);
  EXPECT_EQ(ErrorReason(status), "QUEUE_FULL");
  EXPECT_EQ(RetryAfter(status), absl::Milliseconds(50));
  EXPECT_THAT(ErrorFields(status), ElementsAre("inputs[3]"));
  EXPECT_EQ(status.message(), "the queue is full");
  EXPECT_FALSE(IsUnreachable(status));
}

TEST(ErrorsTest, LeavesOutWhatIsDamagedOrAbsent) {
  absl::Status status = absl::UnavailableError("x");
  AddErrorDetails("\xff\xff\xff", &status);
  EXPECT_EQ(ErrorReason(status), "");
  EXPECT_FALSE(RetryAfter(status).has_value());
  EXPECT_THAT(ErrorFields(status), IsEmpty());
  status.SetPayload("type.googleapis.com/google.rpc.ErrorInfo", absl::Cord("\xff"));
  EXPECT_EQ(ErrorReason(status), "");
}

TEST(ErrorsTest, TellsWhetherThereWasAServer) {
  absl::Status status = absl::UnavailableError("x");
  EXPECT_FALSE(IsUnreachable(status));
  MarkUnreachable(&status);
  EXPECT_TRUE(IsUnreachable(status));
}

}  // namespace
}  // namespace calserve::client
