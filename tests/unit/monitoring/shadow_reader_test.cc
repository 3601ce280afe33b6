#include "server/monitoring/shadow_reader.h"

#include "gtest/gtest.h"
#include "tests/unit/feedback/memory_store.h"
#include "tests/unit/monitoring/monitoring_testing.h"

namespace calserve {
namespace {

const MonitorKey kShadow{"fashion", 3, 7};

class ShadowReaderTest : public ::testing::Test {
 protected:
  void Append(int64_t count, const MonitorKey& key = kKey) {
    std::vector<ScoredLabel> labels;
    for (int64_t i = 0; i < count; ++i) labels.push_back(LabelOf(++number_, key));
    ASSERT_TRUE(store_.Append(absl::MakeSpan(labels), kStart).ok());
  }
  absl::StatusOr<ShadowFold::Entry> Read(int64_t after_position, int64_t position, bool go_on = true) {
    LabelScorer scorer(LookUpTemperature);
    return ReadShadow(
        store_, scorer, {kShadow, after_position, std::make_shared<const Calibrator>(TemperatureOf(3))},
        *RollingWindows::Create({*WindowSpec::Parse("last_10000")}), position, [=] { return go_on; });
  }

  MemoryStore store_;
  uint64_t number_ = 0;
};

TEST_F(ShadowReaderTest, ReadsTheLabelsOfItsModelVersionBetweenItsFitAndThePosition) {
  Append(10);
  Append(5, {"fashion", 4, 0});
  Append(10);
  const absl::StatusOr<ShadowFold::Entry> entry = Read(8, 20);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->windows->labels_held(), 2 + 5);
  EXPECT_EQ(entry->label_position, 20);
  EXPECT_FALSE(entry->truncated);
}

TEST_F(ShadowReaderTest, OfMoreLabelsTheNewestCountAndItSaysSo) {
  Append(kShadowRows + 50);
  const absl::StatusOr<ShadowFold::Entry> entry = Read(0, kShadowRows + 50);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->windows->labels_held(), kShadowRows);
  EXPECT_EQ(entry->label_position, kShadowRows + 50);
  EXPECT_TRUE(entry->truncated);
}

TEST_F(ShadowReaderTest, StopsWhenItIsTold) {
  Append(10);
  EXPECT_TRUE(absl::IsCancelled(Read(0, 10, /*go_on=*/false).status()));
}

}  // namespace
}  // namespace calserve
