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
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a"), large);
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "b'; --"), "");
}

TEST_P(StoreConformanceTest, CheckpointsOfOtherNamesAreApart) {
  ASSERT_TRUE(SaveCheckpoint({1, 1, "one"}, {PartOf("a", 1, "part")}).ok());
  ASSERT_TRUE(store_->SaveCheckpoint("empty", {}, {}).ok());
  EXPECT_EQ((*store_->LoadCheckpoint("empty"))->state, "");
  EXPECT_EQ(store_->LoadCheckpointPart("empty", "a").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ((*store_->LoadCheckpoint("windows"))->state, "one");
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a"), "part");
}

TEST_P(StoreConformanceTest, PartsWithoutStateStayAndPartsThatAreNotNamedGo) {
  ASSERT_TRUE(
      SaveCheckpoint({1, 5, "1"}, {PartOf("a", 3, "a3"), PartOf("b", 4, "b4"), PartOf("c", 5, "c5")}).ok());
  ASSERT_TRUE(SaveCheckpoint({1, 6, "2"}, {Unchanged("a", 3), PartOf("b", 6, "b6")}).ok());
  EXPECT_EQ((*store_->LoadCheckpoint("windows"))->position, 6);
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a"), "a3");
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "b"), "b6");
  EXPECT_THAT(store_->LoadCheckpointPart("windows", "c").status(),
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
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "a"), "a3");
  EXPECT_EQ(*store_->LoadCheckpointPart("windows", "b"), "b4");
  EXPECT_TRUE(refused(Unchanged("a", 3)).ok());
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_FEEDBACK_CHECKPOINT_CONFORMANCE_H_
