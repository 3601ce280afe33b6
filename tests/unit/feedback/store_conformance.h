#ifndef CALSERVE_TESTS_UNIT_FEEDBACK_STORE_CONFORMANCE_H_
#define CALSERVE_TESTS_UNIT_FEEDBACK_STORE_CONFORMANCE_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/feedback/acknowledgement_conformance.h"
#include "tests/unit/feedback/checkpoint_conformance.h"
#include "tests/unit/feedback/conformance_fixture.h"
#include "tests/unit/feedback/refit_conformance.h"

// What every Store must do, whatever it is made of. An engine's test includes this and instantiates the
// suite:
//
//   INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConformanceTest, ::testing::Values(StoreFactory{…}));
namespace calserve {

inline constexpr AppendOutcome kAccepted = AppendOutcome::kAccepted;
inline constexpr AppendOutcome kDuplicate = AppendOutcome::kDuplicate;
inline constexpr AppendOutcome kConflict = AppendOutcome::kLabelConflict;

TEST_P(StoreConformanceTest, ANewLogIsEmptyAndStartsAtOne) {
  EXPECT_EQ(store_->Head()->next_position, 1);
  EXPECT_EQ(store_->Head()->last_time, absl::InfinitePast());
  EXPECT_THAT(Read(), IsEmpty());
}

TEST_P(StoreConformanceTest, PositionsAreDenseInTheOrderGiven) {
  EXPECT_THAT(Append({MakeLabel(30), MakeLabel(10)}), ElementsAre(kAccepted, kAccepted));
  EXPECT_THAT(Append({MakeLabel(20)}), ElementsAre(kAccepted));
  const std::vector<ScoredLabel> rows = Read();
  EXPECT_THAT(Positions(rows), ElementsAre(1, 2, 3));
  EXPECT_EQ(rows[0].prediction.prediction_id, MakePrediction(30).prediction_id);
  EXPECT_EQ(rows[2].prediction.prediction_id, MakePrediction(20).prediction_id);
  EXPECT_EQ(store_->Head()->next_position, 4);
}

TEST_P(StoreConformanceTest, AppendFillsPositionAndTimeOfWhatItAccepted) {
  std::vector<ScoredLabel> labels = {MakeLabel(1), MakeLabel(1), MakeLabel(2)};
  ASSERT_TRUE(store_->Append(absl::MakeSpan(labels), kStart).ok());
  EXPECT_THAT(Positions(labels), ElementsAre(1, 0, 2));
  EXPECT_EQ(labels[2].time, kStart);
}

TEST_P(StoreConformanceTest, EveryFieldComesBack) {
  ScoredLabel label = MakeLabel(7, 4);
  label.source = "annotator-1";
  label.submitter = "alice";
  label.prediction.attributes = {{"camera", "north"}, {"zero", std::string("\0x", 2)}};
  label.inclusion_probability = 0.1;
  label.prediction.calibrator_digest.clear();
  label.prediction.confidence = 0.1f;
  label.prediction.issued_at = kStart - absl::Microseconds(123'456'789);
  Append({label}, kStart + absl::Microseconds(7));
  const ScoredLabel row = Read().at(0);
  EXPECT_EQ(row.time, kStart + absl::Microseconds(7));
  EXPECT_EQ(row.label, 4);
  EXPECT_EQ(row.source, "annotator-1");
  EXPECT_EQ(row.submitter, "alice");
  const TicketContent &found = row.prediction, &given = label.prediction;
  EXPECT_EQ(found.prediction_id, given.prediction_id);
  EXPECT_EQ(found.model, given.model);
  EXPECT_EQ(found.model_version, given.model_version);
  EXPECT_EQ(found.model_digest, given.model_digest);
  EXPECT_EQ(found.calibrator_version, given.calibrator_version);
  EXPECT_EQ(found.calibrator_digest, "");
  EXPECT_EQ(found.issued_at, given.issued_at);
  EXPECT_EQ(found.predicted_class, given.predicted_class);
  EXPECT_EQ(found.uncalibrated_class, given.uncalibrated_class);
  EXPECT_EQ(found.confidence, 0.1f);
  EXPECT_EQ(found.uncalibrated_confidence, given.uncalibrated_confidence);
  EXPECT_EQ(found.max_logit, given.max_logit);
  EXPECT_EQ(found.classes, given.classes);
  EXPECT_EQ(found.logits_fp16, given.logits_fp16);
  EXPECT_EQ(found.attributes, given.attributes);
  EXPECT_EQ(row.inclusion_probability, 0.1);
}

TEST_P(StoreConformanceTest, ValuesThatAreNoNumbersComeBackToo) {
  ScoredLabel label = MakeLabel(1);
  label.prediction.max_logit = std::numeric_limits<float>::quiet_NaN();
  label.prediction.uncalibrated_confidence = -std::numeric_limits<float>::infinity();
  label.prediction.logits_fp16.clear();
  EXPECT_THAT(Append({label}), ElementsAre(kAccepted));
  const TicketContent found = Read().at(0).prediction;
  EXPECT_TRUE(std::isnan(found.max_logit));
  EXPECT_EQ(found.uncalibrated_confidence, -std::numeric_limits<float>::infinity());
  EXPECT_THAT(found.logits_fp16, IsEmpty());
}

TEST_P(StoreConformanceTest, TheSameLabelAgainIsADuplicateAndAnotherAConflict) {
  EXPECT_THAT(Append({MakeLabel(1, 5), MakeLabel(1, 5), MakeLabel(1, 6), MakeLabel(2, 5)}),
              ElementsAre(kAccepted, kDuplicate, kConflict, kAccepted));
  EXPECT_THAT(Append({MakeLabel(2, 4), MakeLabel(2, 5)}), ElementsAre(kConflict, kDuplicate));
  const std::vector<ScoredLabel> rows = Read();
  EXPECT_THAT(Positions(rows), ElementsAre(1, 2));
  EXPECT_EQ(rows[0].label, 5);
}

TEST_P(StoreConformanceTest, AppendingNothingChangesNothing) {
  EXPECT_THAT(Append({}, kStart), IsEmpty());
  EXPECT_EQ(store_->Head()->next_position, 1);
}

TEST_P(StoreConformanceTest, TimeNeverDecreases) {
  Append({MakeLabel(1)}, kStart + absl::Hours(1));
  Append({MakeLabel(2)}, kStart);
  Append({MakeLabel(3)}, kStart + absl::Hours(2));
  const std::vector<ScoredLabel> rows = Read();
  EXPECT_EQ(rows[1].time, kStart + absl::Hours(1));
  EXPECT_EQ(rows[2].time, kStart + absl::Hours(2));
  EXPECT_EQ(store_->Head()->last_time, kStart + absl::Hours(2));
}

TEST_P(StoreConformanceTest, ReadTakesTheOldestAndReadNewestTheNewestBothInOrder) {
  for (int i = 1; i <= 5; ++i) Append({MakeLabel(i)});
  EXPECT_THAT(Positions(Read({}, 2)), ElementsAre(1, 2));
  EXPECT_THAT(Positions(Read({.after_position = 3}, 9)), ElementsAre(4, 5));
  EXPECT_THAT(Positions(*store_->ReadNewest({}, 2)), ElementsAre(4, 5));
  EXPECT_THAT(Positions(*store_->ReadNewest({.after_position = 4}, 9)), ElementsAre(5));
  EXPECT_THAT(Positions(*store_->ReadNewest({.after_position = 1, .before_position = 4}, 1)), ElementsAre(3));
  EXPECT_THAT(Positions(Read({.after_position = 1, .before_position = 4}, 1)), ElementsAre(2));
  EXPECT_THAT(Positions(*store_->ReadNewest({}, 0)), IsEmpty());
  EXPECT_THAT(store_->Read({}, -1).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("limit")));
}

TEST_P(StoreConformanceTest, SelectsByModelAndVersions) {
  std::vector<ScoredLabel> labels = {MakeLabel(1), MakeLabel(2), MakeLabel(3), MakeLabel(4)};
  labels[1].prediction.model = "other";
  labels[2].prediction.model_version = 9;
  labels[3].prediction.calibrator_version = 0;
  Append(labels);
  EXPECT_THAT(PositionsOf({.model = "fashion"}), ElementsAre(1, 3, 4));
  EXPECT_THAT(PositionsOf({.model = "fashion", .model_version = 9}), ElementsAre(3));
  EXPECT_THAT(PositionsOf({.model_version = 3, .calibrator_version = 2}), ElementsAre(1, 2));
  EXPECT_THAT(PositionsOf({.calibrator_version = 0}), ElementsAre(4));
  EXPECT_THAT(PositionsOf({.model = "none"}), IsEmpty());
}

TEST_P(StoreConformanceTest, SelectsByTime) {
  for (int i = 1; i <= 6; ++i) Append({MakeLabel(i)}, kStart + absl::Minutes(i / 2));  // minutes 0 1 1 2 2 3
  const auto at = [](int minute) { return kStart + absl::Minutes(minute); };
  EXPECT_THAT(PositionsOf({.start = at(1)}), ElementsAre(2, 3, 4, 5, 6));
  EXPECT_THAT(PositionsOf({.end = at(1)}), ElementsAre(1));
  EXPECT_THAT(PositionsOf({.start = at(1), .end = at(2)}), ElementsAre(2, 3));
  EXPECT_THAT(PositionsOf({.after_position = 4, .start = at(1), .end = at(3)}), ElementsAre(5));
  EXPECT_THAT(PositionsOf({.before_position = 5, .start = at(1), .end = at(3)}), ElementsAre(2, 3, 4));
  EXPECT_THAT(PositionsOf({.start = at(4)}), IsEmpty());
  EXPECT_THAT(PositionsOf({.end = at(0)}), IsEmpty());
  EXPECT_THAT(Positions(*store_->ReadNewest({.end = at(3)}, 2)), ElementsAre(4, 5));
}

TEST_P(StoreConformanceTest, SelectsBySource) {
  std::vector<ScoredLabel> labels = {MakeLabel(1), MakeLabel(2), MakeLabel(3)};
  labels[1].source = "good";
  labels[2].source = "bad'; --";
  Append(labels);
  EXPECT_THAT(PositionsOf({.sources = {"good", "bad'; --"}}), ElementsAre(2, 3));
  EXPECT_THAT(PositionsOf({.excluded_sources = {"bad'; --"}}), ElementsAre(1, 2));
  EXPECT_THAT(PositionsOf({.sources = {""}}), ElementsAre(1));
  EXPECT_THAT(PositionsOf({.sources = {"good"}, .excluded_sources = {"good"}}), IsEmpty());
}

TEST_P(StoreConformanceTest, SelectsByAttributes) {
  std::vector<ScoredLabel> labels = {MakeLabel(1), MakeLabel(2), MakeLabel(3), MakeLabel(4)};
  labels[0].prediction.attributes = {};
  labels[1].prediction.attributes = {{"camera", "north"}, {"site", "a"}};
  labels[2].prediction.attributes = {{"site", "b"}, {"camera", "south"}, {"camera", "north"}};
  labels[3].prediction.attributes = {{"camera", std::string("\0", 1)}};
  Append(labels);
  EXPECT_THAT(PositionsOf({.attributes = {{"camera", {"north"}}}}), ElementsAre(2));
  EXPECT_THAT(PositionsOf({.attributes = {{"camera", {"north", "south"}}}}), ElementsAre(2, 3));
  EXPECT_THAT(PositionsOf({.attributes = {{"camera", {"north", "south"}}, {"site", {"b"}}}}), ElementsAre(3));
  EXPECT_THAT(PositionsOf({.attributes = {{"camera", {"north"}, true}}}), ElementsAre(3, 4));
  EXPECT_THAT(PositionsOf({.attributes = {{"hour", {"7"}}}}), IsEmpty());
  const LogSelection with_camera{.attributes = {{"camera", {}, true}}};
  EXPECT_THAT(Positions(*store_->Read(with_camera, 2)), ElementsAre(2, 3))
      << "what is left out is not counted";
  EXPECT_THAT(Positions(*store_->ReadNewest(with_camera, 2)), ElementsAre(3, 4));
}

TEST_P(StoreConformanceTest, DeletesTheOldAndNeverReusesAPosition) {
  for (int i = 1; i <= 4; ++i) Append({MakeLabel(i)}, kStart + absl::Minutes(i));
  EXPECT_EQ(*store_->DeleteBefore(kStart + absl::Minutes(3)), 2);
  EXPECT_EQ(*store_->DeleteBefore(kStart + absl::Minutes(3)), 0);
  EXPECT_THAT(PositionsOf({}), ElementsAre(3, 4));
  EXPECT_THAT(PositionsOf({.start = kStart}), ElementsAre(3, 4));
  EXPECT_EQ(*store_->DeleteBefore(absl::InfiniteFuture()), 2);
  EXPECT_EQ(store_->Head()->last_time, kStart + absl::Minutes(4));
  EXPECT_THAT(Append({MakeLabel(1)}, kStart), ElementsAre(kAccepted));
  EXPECT_THAT(PositionsOf({}), ElementsAre(5));
  EXPECT_EQ(Read().at(0).time, kStart + absl::Minutes(4));
}

TEST_P(StoreConformanceTest, DeletesAllInTheEndHoweverMany) {
  std::vector<ScoredLabel> labels;
  for (int i = 1; i <= 25'000; ++i) labels.push_back(MakeLabel(i));
  Append(labels);
  int64_t deleted = 0;
  while (const int64_t count = *store_->DeleteBefore(kStart + absl::Seconds(1))) deleted += count;
  EXPECT_EQ(deleted, 25'000);
  EXPECT_THAT(Read(), IsEmpty());
}

TEST_P(StoreConformanceTest, CalibratorVersionsCountFromOneWithinTheModel) {
  EXPECT_EQ(Add("aa").version, 1);
  EXPECT_EQ(Add("bb", 2).version, 2);
  EXPECT_EQ(Add("cc", 1, "other").version, 1);
  const std::vector<StoredCalibrator> listed = *store_->ListCalibrators("m");
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].version, 2);
  EXPECT_EQ(listed[0].model_version, 2);
  EXPECT_EQ(listed[1].digest, "aa");
  EXPECT_EQ(listed[1].content, "{\"digest\": \"aa\"}");
  EXPECT_EQ(listed[1].origin, "fit");
  EXPECT_EQ(listed[1].state, CalibratorState::kFitted);
  EXPECT_EQ(listed[1].created, kStart);
  EXPECT_EQ(listed[1].activated, std::nullopt);
  EXPECT_THAT(*store_->ListCalibrators("none"), IsEmpty());
}

TEST_P(StoreConformanceTest, TheSameContentIsStoredOnceForAModelVersion) {
  EXPECT_EQ(Add("aa").version, 1);
  ASSERT_TRUE(Activate(1, 0).ok());
  const StoredCalibrator again = Add("aa");
  EXPECT_EQ(again.version, 1);
  EXPECT_EQ(again.state, CalibratorState::kActive);
  EXPECT_EQ(Add("aa", 2).version, 2);
}

TEST_P(StoreConformanceTest, ActivationRetiresTheOneBefore) {
  Add("aa");
  Add("bb");
  ASSERT_TRUE(Activate(1, 0).ok());
  EXPECT_EQ(StateOf(1), CalibratorState::kActive);
  ASSERT_TRUE(Activate(2, 1).ok());
  EXPECT_EQ(StateOf(1), CalibratorState::kRetired);
  EXPECT_EQ(StateOf(2), CalibratorState::kActive);
  EXPECT_EQ(store_->ListCalibrators("m")->front().activated, kStart + absl::Hours(1));
  ASSERT_TRUE(Activate(0, 2).ok());
  EXPECT_EQ(StateOf(2), CalibratorState::kRetired);
}

TEST_P(StoreConformanceTest, ActivationComparesAndSwaps) {
  Add("aa");
  Add("bb");
  ASSERT_TRUE(Activate(1, 0).ok());
  EXPECT_THAT(Activate(2, 0), StatusIs(absl::StatusCode::kAborted, HasSubstr("version 1 is active")));
  EXPECT_EQ(StateOf(2), CalibratorState::kFitted);
  EXPECT_THAT(Activate(7, 1), StatusIs(absl::StatusCode::kNotFound, HasSubstr("version 7")));
  Add("cc", 2);
  EXPECT_EQ(Activate(3, 1).code(), absl::StatusCode::kNotFound) << "of another model version";
  EXPECT_EQ(StateOf(1), CalibratorState::kActive);
}

TEST_P(StoreConformanceTest, ModelVersionsHaveTheirOwnActiveCalibrator) {
  Add("aa", 1);
  Add("bb", 2);
  ASSERT_TRUE(Activate(1, 0, 1).ok());
  ASSERT_TRUE(Activate(2, 0, 2).ok());
  EXPECT_EQ(StateOf(1), CalibratorState::kActive);
  EXPECT_EQ(StateOf(2), CalibratorState::kActive);
}

TEST_P(StoreConformanceTest, PreviousActiveIsWhatWasActiveBefore) {
  EXPECT_EQ(store_->PreviousActive("m", 1).status().code(), absl::StatusCode::kFailedPrecondition);
  Add("aa");
  Add("bb");
  ASSERT_TRUE(Activate(1, 0).ok());
  EXPECT_EQ(*store_->PreviousActive("m", 1), 0);
  ASSERT_TRUE(Activate(2, 1).ok());
  EXPECT_EQ(*store_->PreviousActive("m", 1), 1);
  ASSERT_TRUE(Activate(2, 2).ok()) << "activating what is active changes nothing";
  EXPECT_EQ(*store_->PreviousActive("m", 1), 1);
  ASSERT_TRUE(Activate(1, 2).ok());
  EXPECT_EQ(*store_->PreviousActive("m", 1), 2);
  ASSERT_TRUE(Activate(0, 1).ok());
  EXPECT_EQ(*store_->PreviousActive("m", 1), 1);
}

TEST_P(StoreConformanceTest, EverythingIsThereAfterOpeningAgain) {
  if (!GetParam().durable) GTEST_SKIP() << "this store does not last";
  Append({MakeLabel(1, 5)}, kStart + absl::Hours(1));
  Add("aa");
  Add("bb");
  ASSERT_TRUE(Activate(1, 0).ok());
  ASSERT_TRUE(SaveCheckpoint({1, 1, "head"}, {PartOf("a", 1, "part")}).ok());
  const std::string id = store_->deployment_id();
  Reopen();
  EXPECT_EQ(store_->deployment_id(), id);
  EXPECT_THAT(Append({MakeLabel(1, 5), MakeLabel(1, 6), MakeLabel(2)}),
              ElementsAre(kDuplicate, kConflict, kAccepted));
  EXPECT_THAT(PositionsOf({}), ElementsAre(1, 2));
  EXPECT_EQ(Read().at(1).time, kStart + absl::Hours(1));
  EXPECT_EQ(StateOf(1), CalibratorState::kActive);
  EXPECT_EQ(Add("cc").version, 3);
  EXPECT_EQ((*store_->LoadCheckpoint("windows"))->state, "head");
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a", 1), "part");
}

TEST_P(StoreConformanceTest, EachStoreHasADeploymentIdOfItsOwn) {
  if (!GetParam().durable) GTEST_SKIP() << "this store does not last";
  const TemporaryDirectory other;
  EXPECT_NE((*GetParam().open(other.path()))->deployment_id(), store_->deployment_id());
}

// 4 writers append overlapping ids while 2 readers follow the log.
TEST_P(StoreConformanceTest, ConcurrentWritersAndReadersSeeOneDenseLog) {
  constexpr int kIds = 600;
  std::atomic<int64_t> accepted = 0;
  std::atomic<bool> done = false;
  std::vector<std::thread> writers, readers;
  for (int w = 0; w < 4; ++w) {
    writers.emplace_back([&, w] {
      for (int i = 0; i < kIds; i += 10) {
        std::vector<ScoredLabel> labels;
        for (int j = 0; j < 10; ++j) labels.push_back(MakeLabel((i + j + w * 150) % kIds));
        const auto outcomes = store_->Append(absl::MakeSpan(labels), kStart + absl::Milliseconds(i));
        ASSERT_TRUE(outcomes.ok()) << outcomes.status();
        for (const AppendOutcome outcome : *outcomes) accepted += outcome == kAccepted;
      }
    });
  }
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&] {
      int64_t next = 1;
      absl::Time last = absl::InfinitePast();
      while (next <= kIds && !(done && next > store_->Head()->next_position - 1)) {
        for (const ScoredLabel& row : Read({.after_position = next - 1}, 100)) {
          ASSERT_EQ(row.position, next++);
          ASSERT_GE(row.time, last);
          last = row.time;
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(accepted, kIds);
  EXPECT_EQ(store_->Head()->next_position, kIds + 1);
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_FEEDBACK_STORE_CONFORMANCE_H_
