#include "server/rpc/kserve_models.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/unit/rpc/kserve_fixtures.h"

namespace calserve::kserve {
namespace {

using ::testing::HasSubstr;

TEST(KserveVersionTest, IsAWholeNumberOrNone) {
  EXPECT_EQ(ReadVersion("")->version, 0);
  EXPECT_EQ(ReadVersion("12")->version, 12);
  EXPECT_EQ(ReadVersion("9223372036854775807")->version, std::numeric_limits<int64_t>::max());
  for (const char* text : {"-1", "+1", " 1", "1 ", "1.0", "0x1", "latest", "9223372036854775808"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ReadVersion(text).status())) << text;
    EXPECT_THAT(std::string(ReadVersion(text).status().message()), HasSubstr(std::string("'") + text + "'"));
  }
}

class KserveModelsTest : public ::testing::Test {
 protected:
  KserveModelsTest() {
    for (const int64_t version : {3, 12}) {
      auto model = TensorModel();
      model->version = version;
      table_.Publish(std::move(model),
                     std::make_shared<ServedCalibrator>(ServedCalibrator{Calibrator::None(3), 0, ""}));
    }
  }
  ServingTable table_;
};

TEST_F(KserveModelsTest, ARequestWithoutAVersionGetsTheNewest) {
  EXPECT_EQ(FindModel(table_, "m", "")->model->version, 12);
  EXPECT_EQ(FindModel(table_, "m", "3")->model->version, 3);
}

TEST_F(KserveModelsTest, WhatIsNotThereIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(FindModel(table_, "x", "").status()));
  EXPECT_TRUE(absl::IsNotFound(FindModel(table_, "m", "4").status()));
  EXPECT_TRUE(absl::IsNotFound(FindModel(table_, "m", "0").status())) << "0 is a version that nobody has";
}

TEST_F(KserveModelsTest, FieldsAreThoseOfTheRequest) {
  EXPECT_EQ(ErrorField(FindModel(table_, "x", "").status()), "name");
  EXPECT_EQ(ErrorField(FindModel(table_, "m", "4").status()), "version");
  EXPECT_EQ(ErrorField(FindModel(table_, "m", "four").status()), "version");
}

}  // namespace
}  // namespace calserve::kserve
