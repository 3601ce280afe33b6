#include "server/rpc/kserve_parameters.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"

namespace calserve::kserve {
namespace {

using ::testing::HasSubstr;

class KserveParametersTest : public ::testing::Test {
 protected:
  inference::InferParameter& Parameter(const std::string& name) {
    return (*request_.mutable_parameters())[name];
  }
  RequestParameters Read() const {
    const auto parameters = ReadParameters(request_);
    EXPECT_TRUE(parameters.ok()) << parameters.status();
    return parameters.value_or(RequestParameters());
  }
  std::string Refused() {
    const absl::Status status = ReadParameters(request_).status();
    request_.Clear();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(ErrorField(status), HasSubstr("parameters"));
    return std::string(status.message());
  }

  inference::ModelInferRequest request_;
};

TEST_F(KserveParametersTest, NothingSetIsTheDefault) {
  EXPECT_EQ(Read().priority, 0);
  EXPECT_EQ(Read().timeout, absl::InfiniteDuration());
  EXPECT_EQ(Read().top_k, 0);
  EXPECT_EQ(Read().version_label, "");
}

TEST_F(KserveParametersTest, IntegersOfBothKindsAreRead) {
  Parameter("priority").set_uint64_param(2);
  Parameter("timeout").set_uint64_param(1500);
  Parameter("top_k").set_int64_param(3);
  EXPECT_EQ(Read().priority, 2);
  EXPECT_EQ(Read().timeout, absl::Microseconds(1500));
  EXPECT_EQ(Read().top_k, 3);
  Parameter("priority").set_int64_param(1);
  Parameter("timeout").set_int64_param(7);
  EXPECT_EQ(Read().priority, 1);
  EXPECT_EQ(Read().timeout, absl::Microseconds(7));
}

TEST_F(KserveParametersTest, AttributesAreReadInTheOrderOfTheirKeys) {
  for (const char* key : {"site", "camera", "hour", "shift"}) {
    Parameter(std::string("attribute.") + key).set_string_param(std::string("of ") + key);
  }
  EXPECT_EQ(
      Read().attributes,
      (Attributes{{"camera", "of camera"}, {"hour", "of hour"}, {"shift", "of shift"}, {"site", "of site"}}));
  Parameter("attribute.camera").set_int64_param(7);
  EXPECT_THAT(Refused(), HasSubstr("'attribute.camera' parameter, expected string_param"));
}

TEST_F(KserveParametersTest, ATimeoutOfZeroIsNone) {
  Parameter("timeout").set_int64_param(0);
  EXPECT_EQ(Read().timeout, absl::InfiniteDuration());
}

TEST_F(KserveParametersTest, AValueThatInt64DoesNotHoldIsItsLargest) {
  Parameter("top_k").set_uint64_param(std::numeric_limits<uint64_t>::max());
  Parameter("timeout").set_uint64_param(std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(Read().top_k, std::numeric_limits<int64_t>::max());
  EXPECT_GT(Read().timeout, absl::Hours(24 * 365 * 1000));
}

TEST_F(KserveParametersTest, OtherTypesAndNegativeValuesAreRefused) {
  Parameter("timeout").set_double_param(1);
  EXPECT_EQ(Refused(), "invalid value type for 'timeout' parameter, expected int64_param or uint64_param");
  Parameter("priority");  // no value
  EXPECT_THAT(Refused(), HasSubstr("invalid value type for 'priority'"));
  Parameter("top_k").set_int64_param(-1);
  EXPECT_EQ(Refused(), "invalid value for 'top_k', expected value >= 0; was -1");
  Parameter("version_label").set_bool_param(true);
  EXPECT_THAT(Refused(), HasSubstr("expected string_param"));
}

TEST_F(KserveParametersTest, OfTritonsOwnNamesOnlyTheKnownOneIsLetPass) {
  Parameter("triton_enable_empty_final_response").set_bool_param(true);
  Parameter("tritonic").set_bool_param(true);
  Parameter("sequence_id").set_int64_param(1);
  Read();
  Parameter("triton_trace").set_bool_param(true);
  EXPECT_THAT(Refused(), HasSubstr("was 'triton_trace'"));
  Parameter("triton_enable_empty_final_response").set_int64_param(1);
  EXPECT_THAT(Refused(), HasSubstr("expected bool_param"));
}

}  // namespace
}  // namespace calserve::kserve
