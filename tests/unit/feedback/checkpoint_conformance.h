#ifndef CALSERVE_TESTS_UNIT_FEEDBACK_CHECKPOINT_CONFORMANCE_H_
#define CALSERVE_TESTS_UNIT_FEEDBACK_CHECKPOINT_CONFORMANCE_H_

#include <string>

#include "tests/unit/feedback/conformance_fixture.h"

// Of the conformance suite (store_conformance.h): checkpoints.
namespace calserve {

TEST_P(StoreConformanceTest, CheckpointsComeBackWhole) {
  EXPECT_EQ(*store_->LoadCheckpoint("windows"), std::nullopt);
  const std::string state("\0\xff state", 8), large(1 << 20, 'x');
  ASSERT_TRUE(SaveCheckpoint({3, 77, large}, {PartOf("a", 70, state)}).ok());
  ASSERT_TRUE(SaveCheckpoint({4, 78, state}, {PartOf("a", 78, large), PartOf("b'; --", 5, "")}).ok());
  const Checkpoint checkpoint = **store_->LoadCheckpoint("windows");
  EXPECT_EQ(checkpoint.schema_version, 4);
  EXPECT_EQ(checkpoint.position, 78);
  EXPECT_EQ(checkpoint.state, state);
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a", 78), large);
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "b'; --", 5), "");
}

TEST_P(StoreConformanceTest, CheckpointsOfOtherNamesAreApart) {
  ASSERT_TRUE(SaveCheckpoint({1, 1, "one"}, {PartOf("a", 1, "part")}).ok());
  ASSERT_TRUE(store_->SaveCheckpoint("empty", {}, {}).ok());
  EXPECT_EQ((*store_->LoadCheckpoint("empty"))->state, "");
  EXPECT_EQ(store_->LoadCheckpointPart("empty", "a", 1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ((*store_->LoadCheckpoint("windows"))->state, "one");
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a", 1), "part");
}

TEST_P(StoreConformanceTest, PartsOfManyPiecesComeBackWholeAndAShorterOneReplacesALonger) {
  std::string large;
  for (int i = 0; large.size() < (5 << 20) + 17; ++i) large += std::to_string(i);
  ASSERT_TRUE(SaveCheckpoint({1, 1, ""}, {PartOf("a", 1, large)}).ok());
  EXPECT_TRUE(*store_->LoadCheckpointPart("windows", "a", 1) == large);
  ASSERT_TRUE(SaveCheckpoint({1, 1, ""}, {PartOf("a", 1, "short")}).ok());
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a", 1), "short");
}

TEST_P(StoreConformanceTest, TheCheckpointBeforeIsThereUntilAllPartsOfTheNextAreWritten) {
  ASSERT_TRUE(SaveCheckpoint({1, 5, "1"}, {PartOf("a", 5, "a5"), PartOf("b", 5, "b5")}).ok());
  EXPECT_FALSE(SaveCheckpoint({1, 7, "2"}, {PartOf("a", 7, "a7"), Unchanged("b", 7)}).ok());
  EXPECT_EQ((*store_->LoadCheckpoint("windows"))->state, "1");
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a", 5), "a5");
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "b", 5), "b5");
  ASSERT_TRUE(SaveCheckpoint({1, 8, "3"}, {Unchanged("a", 5), PartOf("b", 8, "b8")}).ok());
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a", 5), "a5");
  EXPECT_EQ(store_->LoadCheckpointPart("windows", "a", 7).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->LoadCheckpointPart("windows", "b", 5).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(StoreConformanceTest, FeedbackIsCommittedWhileTheStateOfAPartIsMade) {
  CheckpointPart part{"a", 1, [this] {
                        EXPECT_THAT(Append({MakeLabel(1)}), ElementsAre(AppendOutcome::kAccepted));
                        return std::string("a1");
                      }};
  ASSERT_TRUE(SaveCheckpoint({1, 1, ""}, {part}).ok());
  EXPECT_THAT(PositionsOf({}), ElementsAre(1));
}

TEST_P(StoreConformanceTest, PartsWithoutStateStayAndPartsThatAreNotNamedGo) {
  ASSERT_TRUE(
      SaveCheckpoint({1, 5, "1"}, {PartOf("a", 3, "a3"), PartOf("b", 4, "b4"), PartOf("c", 5, "c5")}).ok());
  ASSERT_TRUE(SaveCheckpoint({1, 6, "2"}, {Unchanged("a", 3), PartOf("b", 6, "b6")}).ok());
  EXPECT_EQ((*store_->LoadCheckpoint("windows"))->position, 6);
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a", 3), "a3");
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "b", 6), "b6");
  EXPECT_THAT(store_->LoadCheckpointPart("windows", "c", 5).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no part c")));
}

TEST_P(StoreConformanceTest, APartWithoutStateMustBeThereAtItsPosition) {
  ASSERT_TRUE(SaveCheckpoint({1, 5, "1"}, {PartOf("a", 3, "a3"), PartOf("b", 4, "b4")}).ok());
  const auto refused = [&](const CheckpointPart& part) {
    return SaveCheckpoint({1, 6, "2"}, {PartOf("b", 6, "b6"), part});
  };
  const auto code = absl::StatusCode::kFailedPrecondition;
  EXPECT_THAT(refused(Unchanged("a", 2)), StatusIs(code, HasSubstr("part a"))) << "of another position";
  EXPECT_THAT(refused(Unchanged("c", 3)), StatusIs(code, HasSubstr("part c"))) << "of another name";
  EXPECT_EQ((*store_->LoadCheckpoint("windows"))->state, "1") << "nothing has changed";
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a", 3), "a3");
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "b", 4), "b4");
  EXPECT_TRUE(refused(Unchanged("a", 3)).ok());
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_FEEDBACK_CHECKPOINT_CONFORMANCE_H_
