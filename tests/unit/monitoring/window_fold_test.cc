#include "server/monitoring/window_fold.h"

#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/monitoring/monitoring_testing.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

WindowFoldConfig Config(int max_keys = 64) {
  return {{*WindowSpec::Parse("last_10"), *WindowSpec::Parse("last_1h"), *WindowSpec::Parse("decay_1h")},
          kDefaultBins,
          1000,
          max_keys};
}

std::unique_ptr<WindowFold> NewFold(int max_keys = 64) { return *WindowFold::Create(Config(max_keys)); }

// As a checkpoint keeps it.
struct Serialized {
  std::string head;
  std::map<MonitorKey, std::string> windows;
  friend bool operator==(const Serialized&, const Serialized&) = default;
};

Serialized Serialize(const WindowFold& fold) {
  Serialized state{fold.SerializeHead(), {}};
  for (const auto& held : fold.held()) state.windows[held.key] = fold.StateOf(held.key).Serialize();
  return state;
}

absl::Status Restore(WindowFold& fold, const Serialized& state) {
  return fold.Restore(state.head, [&](const WindowFold::HeldKey& held) -> absl::StatusOr<std::string> {
    const auto found = state.windows.find(held.key);
    if (found == state.windows.end()) return absl::NotFoundError("no such part");
    return found->second;
  });
}

MonitorKey Key(int64_t calibrator_version) { return {"fashion", 3, calibrator_version}; }

// A third are right, at confidences of 0.5 and more.
WindowLabel Label(int64_t position) {
  WindowLabel label;
  label.time_micros = 1'000'000 * position;
  label.served = {0.5f + static_cast<float>(position % 50) / 100.0f, position % 3 == 0, 0.5f, 0.25f};
  label.uncalibrated = {0.9f, position % 3 == 0, 0.75f, 0.5f};
  return label;
}

void FoldAll(WindowFold& fold, const std::vector<int64_t>& versions) {
  for (size_t i = 0; i < versions.size(); ++i) {
    ASSERT_TRUE(
        fold.Fold(Key(versions[i]), static_cast<int64_t>(i) + 1, Label(static_cast<int64_t>(i) + 1)).ok());
  }
}

TEST(WindowFoldTest, KeysCountApart) {
  const auto fold = NewFold();
  FoldAll(*fold, {1, 2, 1, 1});
  EXPECT_EQ(fold->Report(Key(1), 0, 0).served.n, 3);
  EXPECT_EQ(fold->Report(Key(2), 0, 0).served.n, 1);
  EXPECT_EQ(fold->LabelPosition(Key(1)), 4);
  EXPECT_EQ(fold->LabelPosition(Key(2)), 2);
}

TEST(WindowFoldTest, KeyThatIsNotHeldReportsAnEmptyWindow) {
  const auto fold = NewFold();
  FoldAll(*fold, {1});
  EXPECT_EQ(fold->Report(Key(9), 1, 0).served.n, 0);
  EXPECT_EQ(fold->LabelPosition(Key(9)), 0);
}

TEST(WindowFoldTest, KeyLongestWithoutALabelMakesRoom) {
  const auto fold = NewFold(2);
  FoldAll(*fold, {1, 2, 1, 3});
  EXPECT_EQ(fold->keys(), 2);
  EXPECT_EQ(fold->LabelPosition(Key(2)), 0);
  EXPECT_EQ(fold->LabelPosition(Key(1)), 3);
  EXPECT_EQ(fold->LabelPosition(Key(3)), 4);
}

TEST(WindowFoldTest, WhoMakesRoomWhileInUseIsCounted) {
  const auto fold = NewFold(2);
  FoldAll(*fold, {1, 2, 3, 1, 2, 3});  // In turns: each makes room for the next.
  EXPECT_EQ(fold->dropped_keys(), 4);
  const auto quiet = NewFold(2);
  std::vector<int64_t> versions(300, 2);
  versions.front() = 1;
  versions.push_back(3);
  FoldAll(*quiet, versions);  // Nobody misses the first.
  EXPECT_EQ(quiet->keys(), 2);
  EXPECT_EQ(quiet->dropped_keys(), 0);
}

TEST(WindowFoldTest, StateGoesOnWhereMoreKeysAreHeldAndWhereFewer) {
  const auto fold = NewFold(2);
  FoldAll(*fold, std::vector<int64_t>(200, 1));
  ASSERT_TRUE(fold->Fold(Key(2), 201, Label(201)).ok());
  const AlarmStatus raised = fold->Alarm(Key(1));
  ASSERT_TRUE(raised.raised.has_value());
  const auto more = NewFold(3);
  ASSERT_TRUE(Restore(*more, Serialize(*fold)).ok());
  EXPECT_EQ(more->keys(), 2);
  EXPECT_EQ(more->Report(Key(1), 0, 0).served.n, 10);
  const auto fewer = NewFold(1);
  ASSERT_TRUE(Restore(*fewer, Serialize(*fold)).ok());
  EXPECT_EQ(fewer->keys(), 1);
  EXPECT_EQ(fewer->LabelPosition(Key(2)), 201);
  EXPECT_EQ(fewer->Alarm(Key(1)), raised) << "its windows are gone, its alarm is not";
}

TEST(WindowFoldTest, KeysThatGetNoLabelLetGoOfWhatIsOld) {
  const auto fold = NewFold();
  FoldAll(*fold, std::vector<int64_t>(500, 1));
  const int64_t before = fold->bytes();
  fold->Age(0);
  EXPECT_EQ(fold->bytes(), before) << "an hour has not passed";
  fold->Age(1'000'000 * int64_t{3600 + 501});
  EXPECT_LT(fold->bytes(), before);
  EXPECT_EQ(fold->Report(Key(1), 0, 0).served.n, 10) << "the last ten stay";
}

TEST(WindowFoldTest, ARaisedAlarmOutlivesTheWindowsOfItsKeyAndGoesOnWithTheNextLabel) {
  const auto fold = NewFold(1);
  FoldAll(*fold, std::vector<int64_t>(200, 1));
  ASSERT_TRUE(fold->Alarm(Key(1)).raised.has_value());
  const AlarmStatus raised = fold->Alarm(Key(1));
  ASSERT_TRUE(fold->Fold(Key(2), 201, Label(201)).ok());
  EXPECT_EQ(fold->keys(), 1);
  EXPECT_EQ(fold->Report(Key(1), 1, 0).served.n, 0);
  EXPECT_EQ(fold->Alarm(Key(1)), raised);

  const auto restored = NewFold(1);
  ASSERT_TRUE(Restore(*restored, Serialize(*fold)).ok());
  EXPECT_EQ(restored->Alarm(Key(1)), raised);
  WindowLabel bad = Label(202);
  bad.served.confidence = 1.5f;
  EXPECT_FALSE(restored->Fold(Key(1), 202, bad).ok());
  EXPECT_EQ(restored->Alarm(Key(1)), raised);
  ASSERT_TRUE(restored->Fold(Key(1), 203, Label(203)).ok());
  EXPECT_EQ(restored->Alarm(Key(1)).labels, 201);
  EXPECT_EQ(restored->Alarm(Key(1)).raised, raised.raised);
  EXPECT_EQ(restored->Alarm(Key(2)).labels, 0) << "it was quiet: it begins anew";
}

TEST(WindowFoldTest, WhatAnAcknowledgedAlarmSpentStaysSpentWhenItsKeyMakesRoom) {
  const auto fold = NewFold(1);
  FoldAll(*fold, std::vector<int64_t>(200, 1));
  ASSERT_TRUE(fold->Acknowledge(Key(1), {200, 1'000'000'000}));
  ASSERT_TRUE(fold->Fold(Key(2), 201, Label(201)).ok());
  EXPECT_EQ(fold->Alarm(Key(1)).acknowledgements, 1);
  ASSERT_TRUE(fold->Fold(Key(1), 202, Label(202)).ok());
  EXPECT_EQ(fold->Alarm(Key(1)).acknowledgements, 1);
}

TEST(WindowFoldTest, RaisedAlarmsOfSlicesStayAsThatOfTheirWholeDoes) {
  WindowFoldConfig config = Config(1);
  config.slice_keys = [](const std::string&) { return SliceKeys{{"camera", {}}}; };
  const auto fold = *WindowFold::Create(config);
  for (int64_t i = 1; i <= 300; ++i) {
    ASSERT_TRUE(fold->Fold(Key(1), i, Label(i), {{"camera", "north"}}).ok());
  }
  MonitorKey north = Key(1);
  north.slice = {"camera", "north"};
  const AlarmStatus raised = fold->Alarm(north);
  ASSERT_TRUE(raised.raised.has_value());
  ASSERT_TRUE(fold->Fold(Key(2), 301, Label(301), {{"camera", "south"}}).ok());
  EXPECT_EQ(fold->Alarm(north), raised);
  const auto restored = *WindowFold::Create(config);
  ASSERT_TRUE(Restore(*restored, Serialize(*fold)).ok());
  EXPECT_EQ(restored->Alarm(north), raised);
  EXPECT_TRUE(restored->Acknowledge(north, {302, 1'000'000'000}));
  EXPECT_FALSE(restored->Acknowledge(north, {303, 1'000'000'000})) << "nothing is raised any more";
  ASSERT_TRUE(restored->Fold(Key(1), 304, Label(304), {{"camera", "north"}}).ok());
  EXPECT_EQ(restored->Alarm(north).labels, 1);
  EXPECT_EQ(restored->Alarm(north).acknowledgements, 1);

  config.slice_keys = [](const std::string&) { return SliceKeys{{"site", {}}}; };
  const auto redeclared = *WindowFold::Create(config);
  ASSERT_TRUE(Restore(*redeclared, Serialize(*fold)).ok());
  EXPECT_FALSE(redeclared->Alarm(north).raised.has_value()) << "its key is not sliced by any more";
}

TEST(WindowFoldTest, RefusedLabelIsNotCountedAndMakesNoRoomForItself) {
  const auto fold = NewFold(1);
  FoldAll(*fold, {1});
  WindowLabel bad = Label(2);
  bad.served.confidence = 1.5f;
  EXPECT_FALSE(fold->Fold(Key(2), 2, bad).ok());
  EXPECT_EQ(fold->keys(), 1);
  EXPECT_EQ(fold->LabelPosition(Key(1)), 1);
}

TEST(WindowFoldTest, RestoredStateGoesOnToTheBit) {
  std::vector<int64_t> versions;
  for (int i = 0; i < 200; ++i) versions.push_back(1 + i * i % 5);
  const auto whole = NewFold(3);
  FoldAll(*whole, versions);
  const auto first = NewFold(3);
  FoldAll(*first, {versions.begin(), versions.begin() + 77});
  const auto second = NewFold(3);
  ASSERT_TRUE(Restore(*second, Serialize(*first)).ok());
  for (size_t i = 77; i < versions.size(); ++i) {
    const auto position = static_cast<int64_t>(i) + 1;
    ASSERT_TRUE(second->Fold(Key(versions[i]), position, Label(position)).ok());
  }
  EXPECT_TRUE(Serialize(*second) == Serialize(*whole));
}

TEST(WindowFoldTest, StateOfAnotherConfigurationIsRefused) {
  const auto fold = NewFold(2);
  FoldAll(*fold, {1, 2});
  WindowFoldConfig config = Config(2);
  config.window_max_labels = 999;
  const auto other = *WindowFold::Create(config);
  EXPECT_THAT(Restore(*other, Serialize(*fold)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("configured otherwise")));
  EXPECT_EQ(other->keys(), 0);
}

TEST(WindowFoldTest, EveryAlteredByteAndEveryTruncationIsRefused) {
  const auto fold = NewFold();
  FoldAll(*fold, {1, 2, 1});
  const auto expect_refused = [](const Serialized& state) {
    const auto other = NewFold();
    EXPECT_FALSE(Restore(*other, state).ok());
    EXPECT_EQ(other->keys(), 0);
  };
  Serialized state = Serialize(*fold);
  for (std::string* bytes : {&state.head, &state.windows[Key(2)]}) {
    const std::string sound = *bytes;
    for (size_t i = 0; i < sound.size(); ++i) {
      SCOPED_TRACE(i);
      (*bytes)[i] = static_cast<char>(sound[i] ^ 0x40);
      expect_refused(state);
      *bytes = sound.substr(0, i);
      expect_refused(state);
      *bytes = sound;
    }
  }
  state.windows.erase(Key(2));
  expect_refused(state);
}

TEST(WindowFoldTest, NeedsRoomForAKey) {
  EXPECT_THAT(WindowFold::Create(Config(0)).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_keys must be >= 1; was 0")));
}

}  // namespace
}  // namespace calserve
