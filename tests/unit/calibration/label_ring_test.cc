#include "calibration/label_ring.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace calserve {
namespace {

PackedLabel At(int64_t time) {
  PackedLabel label;
  label.time_micros = time;
  return label;
}

TEST(LabelRingTest, HoldsWhatADequeWould) {
  std::mt19937 generator(1);
  LabelRing ring(1000);
  std::deque<int64_t> expected;
  int64_t next = 0;
  for (int step = 0; step < 5000; ++step) {
    const int pushes = static_cast<int>(generator() % 40);
    for (int i = 0; i < pushes && ring.size() < ring.bound(); ++i) {
      ring.PushBack(At(next));
      expected.push_back(next++);
    }
    // Now and then nearly everything goes, so that the buffer shrinks.
    const int64_t drop = generator() % (step % 50 == 0 ? ring.size() + 1 : 30);
    ring.DropBefore(std::min(ring.end(), ring.first() + drop));
    while (!expected.empty() && expected.front() < ring.first()) expected.pop_front();
    ASSERT_EQ(ring.size(), static_cast<int64_t>(expected.size()));
    ASSERT_EQ(ring.end(), next);
    for (int64_t i = 0; i < ring.size(); ++i) ASSERT_EQ(ring.At(ring.first() + i).time_micros, expected[i]);
  }
}

TEST(LabelRingTest, AViewKeepsItsLabelsWhateverIsDropped) {
  constexpr int64_t kSize = 1000;
  for (const int64_t wrapped : {0, 1, 300}) {
    LabelRing ring(kSize);
    for (int64_t i = 0; i < kSize; ++i) ring.PushBack(At(i));
    ring.DropBefore(wrapped);
    for (int64_t i = 0; i < wrapped; ++i) ring.PushBack(At(kSize + i));
    const LabelRing::View view = ring.Labels();
    ring.DropBefore(ring.end());  // The buffer shrinks.
    int64_t next = wrapped;
    for (const auto& run : {view.older, view.newer}) {
      for (const PackedLabel& label : run) ASSERT_EQ(label.time_micros, next++);
    }
    EXPECT_EQ(next, wrapped + kSize);
  }
  EXPECT_TRUE(LabelRing(kSize).Labels().older.empty());
}

TEST(LabelRingTest, AFullRingTakesThirtyTwoBytesALabel) {
  LabelRing ring(1000);
  for (int i = 0; i < 1000; ++i) ring.PushBack(At(i));
  EXPECT_EQ(ring.bytes(), 32'000);
  ring.DropBefore(1);
  ring.PushBack(At(1000));
  EXPECT_EQ(ring.bytes(), 32'000);
}

TEST(LabelRingTest, GivesMemoryBackWhenItEmpties) {
  LabelRing ring(100'000);
  for (int i = 0; i < 100'000; ++i) ring.PushBack(At(i));
  ring.DropBefore(100'000);
  EXPECT_LE(ring.bytes(), 64 * 32);
  EXPECT_EQ(ring.size(), 0);
  EXPECT_EQ(ring.first(), 100'000);
}

TEST(PackedScoreTest, KeepsTheConfidenceToTheBitAndTheSignAsCorrectness) {
  const PackedScore right = PackedScore::From({0.0f, true});
  EXPECT_TRUE(std::signbit(right.signed_confidence));
  EXPECT_EQ(right.signed_confidence, 0);
  EXPECT_EQ(PackedScore::From({0.7f, true}).signed_confidence, -0.7f);
  EXPECT_EQ(PackedScore::From({0.7f, false}).signed_confidence, 0.7f);
  EXPECT_FALSE(std::signbit(PackedScore::From({-0.0f, false}).signed_confidence));
  EXPECT_EQ(right.nll, PackedScore::kNone);
  EXPECT_EQ(PackedScore::From({0.7f, true, 100, 2}).nll, 100u << 24);
  EXPECT_EQ(PackedScore::From({0.7f, true, 100, 2}).brier, 2u << 24);
}

}  // namespace
}  // namespace calserve
