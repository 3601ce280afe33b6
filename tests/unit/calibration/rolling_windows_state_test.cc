#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "calibration/byte_io.h"
#include "calibration/rolling_windows.h"
#include "tests/unit/calibration/test_util.h"
#include "tests/unit/calibration/window_test_util.h"

namespace calserve {
namespace {

using absl::StatusCode;

const std::vector<std::string> kNames = {"last_17", "last_300", "last_30s",
                                         "last_5m", "decay_1s", "decay_1m"};
constexpr int kBins = 12;
constexpr int64_t kMaxLabels = 350;  // last_5m is truncated at times

absl::StatusOr<std::unique_ptr<RollingWindows>> Restore(const std::string& bytes) {
  return RollingWindows::Deserialize(bytes, Specs(kNames), kBins, kMaxLabels);
}

std::string Filled(int labels, int seed = 1) {
  const std::unique_ptr<RollingWindows> windows = Windows(kNames, kBins, kMaxLabels);
  LabelStream stream(seed);
  for (int i = 0; i < labels; ++i) Push(windows.get(), stream.Next());
  return windows->Serialize();
}

// A checksum that fits, so that what is behind it is tested.
std::string Sealed(std::string bytes) {
  bytes.resize(bytes.size() - 8);
  ByteWriter writer;
  writer.U64(Checksum(bytes));
  return bytes + std::move(writer).Take();
}

TEST(RollingWindowsStateTest, ARestoredStateGoesOnToTheBit) {
  for (int seed = 0; seed < 10; ++seed) {
    std::mt19937 generator(seed);
    std::unique_ptr<RollingWindows> restored = Windows(kNames, kBins, kMaxLabels);
    const std::unique_ptr<RollingWindows> whole = Windows(kNames, kBins, kMaxLabels);
    LabelStream stream(seed);
    for (int step = 0; step < 1200; ++step) {
      const WindowLabel label = stream.Next();
      Push(whole.get(), label);
      Push(restored.get(), label);
      if (generator() % 50 != 0) continue;
      if (generator() % 2 == 0)
        restored->Report(static_cast<int>(generator() % kNames.size()), label.time_micros);
      absl::StatusOr<std::unique_ptr<RollingWindows>> again = Restore(restored->Serialize());
      ASSERT_TRUE(again.ok()) << again.status();
      restored = *std::move(again);
      ASSERT_EQ(restored->Serialize(), whole->Serialize());
      ExpectSameReports(restored.get(), whole.get(), label.time_micros);
    }
    EXPECT_EQ(restored->labels_held(), whole->labels_held());
  }
}

// What a checkpoint stands on: reports go on while it is written.
TEST(RollingWindowsStateTest, AStateIsThatOfItsTimeWhateverIsReportedWhileItIsWritten) {
  const std::vector<std::string> names = {"last_30s", "last_5m", "decay_1s"};
  const std::unique_ptr<RollingWindows> windows = Windows(names, kBins, kMaxLabels);
  LabelStream stream(1);
  WindowLabel label;
  for (int i = 0; i < 500; ++i) Push(windows.get(), label = stream.Next());
  const std::string bytes = windows->Serialize();
  const WindowsState state = windows->State();
  std::thread reporter([&] {
    for (int64_t seconds = 0; seconds < 400; seconds += 10) {
      for (size_t i = 0; i < names.size(); ++i)
        windows->Report(static_cast<int>(i), label.time_micros + seconds * kSecond);
    }
  });
  EXPECT_EQ(state.Serialize(), bytes);
  reporter.join();
  EXPECT_EQ(windows->labels_held(), 0) << "the reports evicted all";
  EXPECT_EQ(state.Serialize(), bytes);
}

TEST(RollingWindowsStateTest, AFullRingTakesTheMostBytes) {
  for (const std::vector<std::string>& names :
       {std::vector<std::string>{"last_17"}, {"decay_1s"}, {"last_17", "last_5m", "decay_1s"}}) {
    const std::unique_ptr<RollingWindows> windows = Windows(names, kBins, kMaxLabels);
    const int64_t most = windows->max_serialized_bytes();
    LabelStream stream(1);
    size_t largest = 0;
    for (int i = 0; i < 3000; ++i) {
      WindowLabel label = stream.Next();
      label.extras.SetInclusionProbability(0.5);
      Push(windows.get(), label);
      largest = std::max(largest, windows->Serialize().size());
    }
    EXPECT_EQ(static_cast<int64_t>(largest), most);
    EXPECT_EQ(windows->max_serialized_bytes(), most);
  }
}

TEST(RollingWindowsStateTest, AnEmptyStateIsRestored) {
  const absl::StatusOr<std::unique_ptr<RollingWindows>> windows = Restore(Filled(0));
  ASSERT_TRUE(windows.ok()) << windows.status();
  EXPECT_EQ((*windows)->labels_held(), 0);
  EXPECT_EQ((*windows)->Report(0, kStart).served.n, 0);
}

TEST(RollingWindowsStateTest, AnyFlippedBitAndAnyCutIsDataLoss) {
  const std::string bytes = Filled(5);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    EXPECT_EQ(Restore(damaged).status().code(), StatusCode::kDataLoss) << i;
    EXPECT_EQ(Restore(bytes.substr(0, i)).status().code(), StatusCode::kDataLoss) << i;
  }
  EXPECT_EQ(Restore(bytes + "x").status().code(), StatusCode::kDataLoss);
}

// Behind a checksum that fits, every byte takes every kind of wrong value: an error or a state, never a
// crash.
TEST(RollingWindowsStateTest, BytesThatLieAreRefusedOrHarmless) {
  const std::string bytes = Filled(3);
  for (size_t i = 0; i + 8 < bytes.size(); ++i) {
    for (const unsigned char value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::string lying = bytes;
      lying[i] = static_cast<char>(value);
      const absl::StatusOr<std::unique_ptr<RollingWindows>> windows = Restore(Sealed(lying));
      if (windows.ok()) continue;
      EXPECT_TRUE(windows.status().code() == StatusCode::kDataLoss ||
                  windows.status().code() == StatusCode::kFailedPrecondition);
    }
  }
  for (size_t size = 8; size < bytes.size(); ++size)
    EXPECT_FALSE(Restore(Sealed(bytes.substr(0, size))).ok()) << size;
}

TEST(RollingWindowsStateTest, AnotherConfigurationIsRefusedByName) {
  const std::string bytes = Filled(50);
  ExpectError(RollingWindows::Deserialize(bytes, Specs(kNames), kBins + 1, kMaxLabels),
              StatusCode::kFailedPrecondition, "12 bins; configured are 13");
  ExpectError(RollingWindows::Deserialize(bytes, Specs(kNames), kBins, kMaxLabels + 1),
              StatusCode::kFailedPrecondition, "max_labels 350; configured is 351");
  std::vector<std::string> names = kNames;
  names.pop_back();
  ExpectError(RollingWindows::Deserialize(bytes, Specs(names), kBins, kMaxLabels),
              StatusCode::kFailedPrecondition, "not those configured");
  names.push_back("decay_2m");
  ExpectError(RollingWindows::Deserialize(bytes, Specs(names), kBins, kMaxLabels),
              StatusCode::kFailedPrecondition, "not those configured");
  ExpectError(RollingWindows::Deserialize(bytes, {}, kBins, kMaxLabels), StatusCode::kInvalidArgument,
              "window");
}

TEST(RollingWindowsStateTest, AnotherVersionIsRefused) {
  std::string bytes = Filled(5);
  bytes[4] = 3;
  ExpectError(Restore(Sealed(bytes)), StatusCode::kFailedPrecondition, "version 3; this program reads 2");
}

TEST(RollingWindowsStateTest, TakesThirtyTwoBytesALabel) {
  const std::unique_ptr<RollingWindows> windows = Windows({"last_10000"});
  LabelStream stream(1);
  for (int i = 0; i < 20'000; ++i) Push(windows.get(), stream.Next());
  EXPECT_LT(windows->Serialize().size(), 32 * 10'000 + 200u);
}

}  // namespace
}  // namespace calserve
