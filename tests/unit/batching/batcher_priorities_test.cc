// What is let in is done before its deadline, whatever comes later at a more urgent level.
#include <cstddef>
#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/unit/batching/batcher_fixture.h"

namespace calserve {
namespace {

using ::testing::HasSubstr;

// One instance, two levels, and a batch takes kRun.
class BatcherPrioritiesTest : public BatcherTest {
 protected:
  static constexpr absl::Duration kRun = absl::Seconds(100);

  BatcherPrioritiesTest() {
    options_.priority_levels = 2;
    options_.default_priority = 2;
    options_.max_queue_rows = 64;
  }
  ~BatcherPrioritiesTest() override {
    if (model_ != nullptr) model_->FinishAll();
  }

  // Measures batches of `max_batch_size` rows, then leaves the instance busy with one.
  void StartBusy(int max_batch_size) {
    options_.max_batch_size = max_batch_size;
    Start();
    auto measured = Submit(max_batch_size);
    model_->AwaitBatches(1);
    clock_.Advance(kRun);
    model_->FinishOne();
    ASSERT_TRUE(measured->Await().ok());
    Submit(max_batch_size);
    model_->AwaitBatches(2);
    batches_ = 2;
  }
  // The batch that runs ends, after kRun, and another begins: there must be one.
  void RunABatch() {
    clock_.Advance(kRun);
    model_->FinishOne();
    model_->AwaitBatches(++batches_);
  }
  // `batches` times a batch of level 1 arrives and one runs.
  void Flood(int batches) {
    for (int i = 0; i < batches; ++i) {
      Submit(options_.max_batch_size, 0, {.priority = 1});
      RunABatch();
    }
  }
  static std::vector<absl::StatusCode> CodesOf(const std::vector<std::shared_ptr<Answer>>& answers) {
    std::vector<absl::StatusCode> codes;
    for (const auto& answer : answers)
      codes.push_back(answer->times() == 0 ? absl::StatusCode::kUnknown : CodeOf(answer));
    return codes;
  }

 private:
  size_t batches_ = 0;  // that have begun
};

TEST_F(BatcherPrioritiesTest, AShortDeadlineThatWasLetInIsKeptUnderAFloodOfLevelOne) {
  StartBusy(1);
  const auto admitted = Submit(1, 0, {.deadline_in = 2.5 * kRun});
  ASSERT_EQ(admitted->times(), 0);
  Flood(6);
  EXPECT_EQ(CodesOf({admitted}), std::vector{absl::StatusCode::kOk});
}

TEST_F(BatcherPrioritiesTest, ManyOfOneDeadlineAreAllKeptUnderAFloodOfLevelOne) {
  StartBusy(1);
  std::vector<std::shared_ptr<Answer>> admitted(10);
  for (auto& answer : admitted) answer = Submit(1, 0, {.deadline_in = 20.5 * kRun});
  Submit(1, 0, {.priority = 1});  // The flood is never behind.
  Flood(22);
  EXPECT_EQ(CodesOf(admitted), std::vector(10, absl::StatusCode::kOk));
}

TEST_F(BatcherPrioritiesTest, MixedRowsAndDeadlinesAreKeptUnderAFloodOfLevelOne) {
  StartBusy(4);
  std::vector<std::shared_ptr<Answer>> admitted;
  for (const int rows : {3, 2, 3, 1, 4, 1, 2, 3, 1}) {
    for (const double runs : {30.5, 12.5}) {
      admitted.push_back(Submit(rows, 0, {.deadline_in = runs * kRun}));
      if (admitted.back()->times() > 0) admitted.pop_back();  // Refused at once.
    }
  }
  ASSERT_GT(admitted.size(), 8u);
  for (int i = 0; i < 40; ++i) {
    for (const int rows : {3, 1, 2}) Submit(rows, 0, {.deadline_in = 8 * kRun, .priority = 1});
    RunABatch();
  }
  EXPECT_EQ(CodesOf(admitted), std::vector(admitted.size(), absl::StatusCode::kOk));
}

TEST_F(BatcherPrioritiesTest, WhatLevelOneIsLetInForIsKeptToo) {
  StartBusy(1);
  std::vector<std::shared_ptr<Answer>> admitted;
  for (int i = 0; i < 60; ++i) {
    for (const int priority : {1, 2}) {
      auto answer = Submit(1, 0, {.deadline_in = (4.5 + i % 7) * kRun, .priority = priority});
      if (answer->times() == 0) admitted.push_back(std::move(answer));
    }
    RunABatch();
  }
  for (int i = 0; i < 12; ++i) {
    Submit(1, 0, {.priority = 1});
    RunABatch();
  }
  ASSERT_GT(admitted.size(), 50u);
  EXPECT_EQ(CodesOf(admitted), std::vector(admitted.size(), absl::StatusCode::kOk));
}

TEST_F(BatcherPrioritiesTest, LevelOneStillGoesFirstWhereTheOthersHaveTime) {
  StartBusy(1);
  const auto ordinary = Submit(1, 0, {.deadline_in = 20 * kRun});
  const auto urgent = Submit(1, 0, {.priority = 1});
  RunABatch();
  model_->FinishOne();
  EXPECT_TRUE(urgent->Await().ok());
  EXPECT_EQ(ordinary->times(), 0);
}

TEST_F(BatcherPrioritiesTest, LevelOneIsRefusedThatCannotWaitForWhatWasLetIn) {
  StartBusy(1);
  const auto admitted = Submit(1, 0, {.deadline_in = 2.5 * kRun});
  const auto refused = Submit(1, 0, {.deadline_in = 2.5 * kRun, .priority = 1});
  EXPECT_EQ(refused->times(), 1);
  EXPECT_EQ(ErrorReason(refused->Await().status()), "DEADLINE_UNREACHABLE");
  EXPECT_EQ(admitted->times(), 0);
}

TEST_F(BatcherPrioritiesTest, AFloodOfALowerLevelLeavesTimeForLevelOne) {
  StartBusy(1);
  int admitted = 0;
  std::shared_ptr<Answer> last;
  while ((last = Submit(1, 0, {.deadline_in = 20.5 * kRun}))->times() == 0) ++admitted;
  EXPECT_EQ(admitted, 14);  // The one that runs and these 14 are done after 15 of 20 batches.
  EXPECT_EQ(ErrorReason(last->Await().status()), "DEADLINE_UNREACHABLE");
  EXPECT_THAT(last->Await().status().message(), HasSubstr("of which priority 2 may use"));
  const auto urgent = Submit(1, 0, {.deadline_in = 2.5 * kRun, .priority = 1});
  RunABatch();
  model_->FinishOne();
  EXPECT_TRUE(urgent->Await().ok());
}

TEST_F(BatcherPrioritiesTest, TheQueueTimeoutOfWhatWasLetInIsKeptToo) {
  options_.queue_timeout = 6.5 * kRun;
  StartBusy(1);
  const auto admitted = Submit(1);
  Flood(8);
  EXPECT_EQ(CodesOf({admitted}), std::vector{absl::StatusCode::kOk});
}

}  // namespace
}  // namespace calserve
