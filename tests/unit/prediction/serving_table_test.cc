#include "server/prediction/serving_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"

namespace calserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ServingTableTest : public ::testing::Test {
 protected:
  std::shared_ptr<const ServedModel> Publish(int64_t version, int64_t calibrator = 0) {
    auto model = std::make_shared<ServedModel>();
    model->name = "pets";
    model->version = version;
    model->labels = {"cat", "dog"};
    table_.Publish(model, Calibrated(calibrator));
    return model;
  }
  static std::shared_ptr<const ServedCalibrator> Calibrated(int64_t version) {
    return std::make_shared<ServedCalibrator>(ServedCalibrator{Calibrator::None(2), version, ""});
  }

  // The version that answers; 0: none.
  int64_t VersionFor(const VersionChoice& choice) {
    const absl::StatusOr<Snapshot> found = table_.Find("pets", choice);
    return found.ok() ? found->model->version : 0;
  }
  int64_t Labelled(absl::string_view label) { return VersionFor({0, label, {}}); }
  int64_t Chosen(absl::string_view key = "") { return VersionFor({0, {}, key}); }
  absl::Status ErrorFor(const VersionChoice& choice) { return table_.Find("pets", choice).status(); }

  ServingTable table_;
};

TEST_F(ServingTableTest, TheNewestVersionIsTheServersChoice) {
  Publish(2);
  Publish(3);
  Publish(1);
  EXPECT_EQ(Chosen(), 3);
  EXPECT_EQ(VersionFor({1, {}, {}}), 1);
  table_.Withdraw("pets", 3);
  EXPECT_EQ(Chosen(), 2);
}

TEST_F(ServingTableTest, AWithdrawnVersionIsNotFoundAndKeptByThoseThatHaveIt) {
  std::weak_ptr<const ServedModel> model = Publish(1);
  Snapshot held = *table_.Find("pets", 1);
  table_.Withdraw("pets", 1);
  EXPECT_EQ(ErrorReason(ErrorFor({1, {}, {}})), "MODEL_NOT_FOUND");
  EXPECT_FALSE(model.expired());
  held = {};
  EXPECT_TRUE(model.expired());
}

TEST_F(ServingTableTest, APublishedVersionReplacesTheOneOfItsNumberWithItsCalibrator) {
  const std::shared_ptr<const ServedModel> old = Publish(1, 7);
  const std::shared_ptr<const ServedModel> fresh = Publish(1, 8);
  const Snapshot snapshot = *table_.Find("pets", 1);
  EXPECT_EQ(snapshot.model, fresh);
  EXPECT_EQ(snapshot.calibrator->version, 8);
  EXPECT_EQ(old.use_count(), 1);
}

TEST_F(ServingTableTest, WhatIsIssuedIsCountedForEachCalibratorAlsoWhenItComesBack) {
  Publish(1, 7);
  table_.Find("pets", 1)->issued->Add({2, 1.5, 1.25});
  ASSERT_TRUE(table_.SetCalibrator("pets", 1, Calibrated(8)));
  table_.Find("pets", 1)->issued->Add({1, 0.5, 0.25});
  ASSERT_TRUE(table_.SetCalibrator("pets", 1, Calibrated(7)));
  table_.Find("pets", 1)->issued->Add({1, 0.5, 0.25});
  EXPECT_EQ(table_.Issued("pets", 1, 7), (ConfidenceSums{3, 2, 1.5}));
  EXPECT_EQ(table_.Issued("pets", 1, 8), (ConfidenceSums{1, 0.5, 0.25}));
  EXPECT_EQ(table_.Issued("pets", 2, 8).n, 0);
}

TEST_F(ServingTableTest, CountsOfManyReplacedCalibratorsMakeRoomButNotThatOfTheActive) {
  Publish(1, 0);
  table_.Find("pets", 1)->issued->Add({1, 0.5, 0.25});
  Publish(2, 0);
  int kept = 0;
  for (int64_t version = 1; version <= 3000; ++version) {
    ASSERT_TRUE(table_.SetCalibrator("pets", 2, Calibrated(version)));
    table_.Find("pets", 2)->issued->Add({1, 0.5, 0.25});
  }
  for (int64_t version = 1; version <= 3000; ++version)
    kept += table_.Issued("pets", 2, version).n > 0 ? 1 : 0;
  EXPECT_GT(kept, 900);
  EXPECT_LE(kept, 1024);
  EXPECT_EQ(table_.Issued("pets", 1, 0).n, 1);
  EXPECT_EQ(table_.Issued("pets", 2, 3000).n, 1);
}

TEST_F(ServingTableTest, ALabelPointsToAPublishedVersion) {
  Publish(3);
  Publish(4);
  table_.SetRouting("pets", {{{"stable", 3}, {"canary", 4}, {"next", 5}}, {}});
  EXPECT_EQ(Labelled("stable"), 3);
  EXPECT_EQ(Labelled("canary"), 4);
  EXPECT_EQ(Chosen(), 4) << "labels alone do not route";
  const absl::Status next = ErrorFor({0, "next", {}});
  EXPECT_EQ(ErrorReason(next), "VERSION_LABEL_NOT_FOUND");
  EXPECT_EQ(ErrorField(next), "version_label");
  EXPECT_THAT(std::string(next.message()), AllOf(HasSubstr("'next'"), HasSubstr("4 canary, 3 stable")));
  Publish(5);
  EXPECT_EQ(Labelled("next"), 5);
}

TEST_F(ServingTableTest, TrafficIsSplitByTheRoutingKey) {
  Publish(3);
  Publish(4);
  table_.SetRouting("pets", {{{"stable", 3}, {"canary", 4}}, {{"stable", 80}, {"canary", 20}}});
  int canary = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = absl::StrCat("user-", i);
    const int64_t version = Chosen(key);
    EXPECT_EQ(Chosen(key), version) << "a key stays where it is";
    canary += version == 4;
  }
  EXPECT_NEAR(canary, 200, 60);
  EXPECT_EQ(Chosen(), 3) << "without a key: the main share";
  EXPECT_EQ(VersionFor({4, {}, "user-1"}), 4) << "a named version is not routed";
}

TEST_F(ServingTableTest, AShareWithoutItsVersionGoesToTheOther) {
  Publish(3);
  table_.SetRouting("pets", {{{"stable", 3}, {"canary", 4}}, {{"stable", 1}, {"canary", 99}}});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Chosen(absl::StrCat(i)), 3);
  Publish(4);
  Publish(5);
  table_.Withdraw("pets", 3);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Chosen(absl::StrCat(i)), 4) << "not the newest";
  table_.Withdraw("pets", 4);
  EXPECT_EQ(Chosen("key"), 5) << "no share is left: the newest";
}

TEST_F(ServingTableTest, AChoiceThatBreaksARuleNamesItsField) {
  Publish(1);
  const absl::Status both = ErrorFor({1, "stable", {}});
  EXPECT_EQ(both.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorField(both), "version_label");
  const std::string key(VersionChoice::kMaxRoutingKey + 1, 'k');
  EXPECT_EQ(ErrorField(ErrorFor({0, {}, key})), "routing_key");
  EXPECT_EQ(Chosen(key.substr(1)), 1);
  EXPECT_EQ(ErrorReason(ErrorFor({9, {}, {}})), "MODEL_VERSION_NOT_FOUND");
}

}  // namespace
}  // namespace calserve
