// Who has the next turn on a device, and batchers that wait for theirs.
#include "server/batching/device_turns.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/before_waiting.h"
#include "server/base/error_info.h"
#include "server/base/mutex.h"
#include "tests/unit/batching/batcher_fixture.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

// Threads that wait for a turn, note whose it was and give it back.
class DeviceTurnsTest : public ::testing::Test {
 protected:
  // Returns once it waits.
  void Wait(DeviceTurns::Line& line, const std::string& name) {
    const int before = turns_->waiting();
    threads_.emplace_back([this, &line, name] {
      const std::optional<DeviceTurns::Turn> turn = line.Take();
      MutexLock lock(&mu_);
      order_.push_back(turn.has_value() ? name : name + " closed");
    });
    while (turns_->waiting() == before) std::this_thread::yield();
  }
  std::vector<std::string> Order() {
    threads_.clear();
    MutexLock lock(&mu_);
    return order_;
  }

  const std::shared_ptr<DeviceTurns> turns_ = std::make_shared<DeviceTurns>(1);
  DeviceTurns::Line a_{turns_, "a"}, a2_{turns_, "a"}, b_{turns_, "b"}, c_{turns_, "c"};
  Mutex mu_;
  std::vector<std::string> order_ ABSL_GUARDED_BY(mu_);
  std::vector<std::jthread> threads_;
};

TEST_F(DeviceTurnsTest, ModelsAreServedInTurnHoweverManyOfOneWait) {
  std::optional<DeviceTurns::Turn> held = a_.TryTake();
  ASSERT_TRUE(held.has_value());
  Wait(a_, "a1");
  Wait(a_, "a2");
  Wait(a2_, "a3");  // another version of the same model
  Wait(b_, "b1");
  Wait(c_, "c1");
  Wait(b_, "b2");
  held.reset();
  EXPECT_THAT(Order(), ElementsAre("b1", "c1", "a1", "b2", "a2", "a3"));
}

TEST_F(DeviceTurnsTest, NoneIsHadWhileAllAreTaken) {
  const auto turns = std::make_shared<DeviceTurns>(2);
  DeviceTurns::Line a(turns, "a"), b(turns, "b");
  std::optional<DeviceTurns::Turn> first = a.TryTake(), second = b.TryTake();
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_FALSE(a.TryTake().has_value());
  first->GiveBack();
  first->GiveBack();  // It has none any more.
  EXPECT_TRUE(a.TryTake().has_value()) << "and gives it back";
  *second = DeviceTurns::Turn();
  first = a.TryTake();
  second = b.Take();
  EXPECT_TRUE(first.has_value() && second.has_value());
  EXPECT_FALSE(a.TryTake().has_value());
}

TEST_F(DeviceTurnsTest, ALineThatIsClosedWaitsNoLongerAndKeepsNoOther) {
  std::optional<DeviceTurns::Turn> held = c_.TryTake();
  Wait(a_, "a");
  Wait(b_, "b");
  a_.Close();
  while (turns_->waiting() > 1) std::this_thread::yield();
  held.reset();
  EXPECT_THAT(Order(), UnorderedElementsAre("a closed", "b"));
  EXPECT_FALSE(a_.Take().has_value());
  EXPECT_TRUE(b_.Take().has_value());
}

TEST_F(DeviceTurnsTest, WithoutADeviceEverybodyHasOne) {
  DeviceTurns::Line line(nullptr, "a");
  const auto first = line.TryTake(), second = line.Take();
  EXPECT_TRUE(first.has_value() && second.has_value());
  line.Close();
}

// Two models of which one runs a batch at a time. "flooded" has three instances and runs its first batch.
class TakingTurnsTest : public BatcherTest {
 protected:
  void SetUp() override {
    options_.max_queue_rows = 32;
    options_.instances = 3;
    batcher_ = Make("flooded", &model_);
    options_.instances = 1;
    options_.inline_limit = absl::Milliseconds(1);
    quiet_ = Make("quiet", &quiet_model_);
    std::swap(batcher_, quiet_);  // Submit is for the quiet one.
    running_ = SubmitToFlood();
    model_->AwaitBatches(1);
  }
  void TearDown() override {
    model_->FinishAll();
    quiet_model_->FinishAll();
    quiet_.reset();
    batcher_.reset();
  }

  std::unique_ptr<Batcher> Make(const std::string& name, std::unique_ptr<PuppetModel>* model) {
    *model = std::make_unique<PuppetModel>(options_.instances, options_.max_batch_size);
    BatchRunner runner = (*model)->Runner();
    runner.any_thread = [] { return true; };
    runner.turns = turns_;
    runner.model = name;
    runner.start = [this, name, start = runner.start](int instance, int slot, int rows) {
      {
        MutexLock lock(&mu_);
        order_.push_back(name);
      }
      return start(instance, slot, rows);
    };
    return *Batcher::Create(options_, std::move(runner), clock_);
  }
  std::shared_ptr<Answer> SubmitToFlood() {
    std::swap(batcher_, quiet_);
    std::shared_ptr<Answer> answer = Submit(4);
    std::swap(batcher_, quiet_);
    return answer;
  }
  void AwaitWaiting(int waiting) const {
    while (turns_->waiting() != waiting) std::this_thread::yield();
  }
  // The quiet one, whose batches finish at once from now on. Before the flooded one has run a second batch.
  void LearnThatItsTurnComesAfter10s(int turns) {
    quiet_model_->FinishAll();
    for (int i = 0; i < turns; ++i) {
      const auto answer = Submit(1);
      AwaitWaiting(1);
      clock_.Advance(absl::Seconds(10));
      model_->FinishOne();
      EXPECT_TRUE(answer->Await().ok());
      running_ = SubmitToFlood();
      model_->AwaitBatches(i + 2);
    }
  }
  std::vector<std::string> Order() {
    MutexLock lock(&mu_);
    return order_;
  }

  const std::shared_ptr<DeviceTurns> turns_ = std::make_shared<DeviceTurns>(1);
  std::unique_ptr<PuppetModel> quiet_model_;
  std::unique_ptr<Batcher> quiet_;  // But for Submit, the flooded one.
  std::shared_ptr<Answer> running_;

 private:
  Mutex mu_;
  std::vector<std::string> order_ ABSL_GUARDED_BY(mu_);
};

TEST_F(TakingTurnsTest, ModelsWithABatchReadyAlternateHoweverManyInstancesOneHas) {
  quiet_model_->FinishAll();
  std::vector<std::shared_ptr<Answer>> answers;
  for (int i = 0; i < 5; ++i) answers.push_back(SubmitToFlood());
  AwaitWaiting(2);  // Its other instances.
  for (int i = 0; i < 3; ++i) answers.push_back(Submit(4));
  AwaitWaiting(3);
  for (int batches = 2; batches <= 4; ++batches) {
    model_->FinishOne();
    model_->AwaitBatches(batches);
    if (batches < 4) AwaitWaiting(3);
  }
  EXPECT_THAT(Order(), ElementsAre("flooded", "quiet", "flooded", "quiet", "flooded", "quiet", "flooded"));
  model_->FinishAll();
  for (const auto& answer : answers) EXPECT_TRUE(answer->Await().ok());
}

TEST_F(TakingTurnsTest, WhatArrivesWhileABatchWaitsForItsTurnJoinsIt) {
  const auto first = Submit(1, 5);
  AwaitWaiting(1);
  const auto second = Submit(2, 7);
  quiet_model_->FinishAll();
  model_->FinishOne();
  EXPECT_THAT(second->Await()->logits, ElementsAre(7, 7.5f, 8, 8.5f));
  EXPECT_TRUE(first->Await().ok());
  EXPECT_THAT(quiet_model_->batch_sizes(), ElementsAre(3));
}

TEST_F(TakingTurnsTest, WhatIsNotWantedAnyMoreLeavesMeanwhileAndItsTurnIsGivenBack) {
  const auto late = Submit(1, 0, {.deadline_in = absl::Seconds(20)});
  const auto cancel = std::make_shared<CancelFlag>();
  const auto cancelled = Submit(1, 0, {.cancel = cancel});
  AwaitWaiting(1);
  cancel->Cancel();
  clock_.Advance(absl::Seconds(20));
  EXPECT_EQ(CodeOf(late), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(CodeOf(cancelled), absl::StatusCode::kCancelled);
  model_->FinishAll();
  EXPECT_TRUE(running_->Await().ok());
  EXPECT_TRUE(SubmitToFlood()->Await().ok());
  EXPECT_TRUE(quiet_model_->batch_sizes().empty());
}

TEST_F(TakingTurnsTest, WhoeverStopsWhileItWaitsWaitsForNobody) {
  const auto waiting = Submit(1);
  AwaitWaiting(1);
  batcher_->Stop();  // The other's batch has not been let finish.
  EXPECT_EQ(CodeOf(waiting), absl::StatusCode::kUnavailable);
  EXPECT_EQ(running_->times(), 0);
}

TEST_F(TakingTurnsTest, WhatCannotBeDoneBeforeItsDeadlineBecauseOfOthersIsRefusedAtOnce) {
  LearnThatItsTurnComesAfter10s(/*turns=*/10);
  const auto first = Submit(1);
  AwaitWaiting(1);
  const absl::Status refused = Submit(1, 0, {.deadline_in = absl::Seconds(5)})->Await().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(refused), "DEADLINE_UNREACHABLE") << refused;
  const auto patient = Submit(1, 0, {.deadline_in = absl::Seconds(60)});
  model_->FinishOne();
  EXPECT_TRUE(first->Await().ok());
  EXPECT_TRUE(patient->Await().ok());
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Submit(1)->Await().ok());  // It forgets.
  running_ = SubmitToFlood();
  model_->AwaitBatches(12);
  const auto waits = Submit(1);
  AwaitWaiting(1);
  const auto soon = Submit(1, 0, {.deadline_in = absl::Seconds(5)});
  model_->FinishOne();
  EXPECT_TRUE(waits->Await().ok());
  EXPECT_TRUE(soon->Await().ok());
}

// Its next batch has its turn only after others had theirs.
TEST_F(TakingTurnsTest, WhatComesWhileABatchRunsIsRefusedIfTheTurnAfterItIsTooLate) {
  LearnThatItsTurnComesAfter10s(/*turns=*/20);
  quiet_model_->HoldAll();
  const auto first = Submit(1);
  AwaitWaiting(1);
  model_->FinishOne();
  quiet_model_->AwaitBatches(21);
  const absl::Status refused = Submit(1, 0, {.deadline_in = absl::Seconds(5)})->Await().status();
  EXPECT_EQ(ErrorReason(refused), "DEADLINE_UNREACHABLE") << refused;
  const auto patient = Submit(1, 0, {.deadline_in = absl::Seconds(60)});
  quiet_model_->FinishAll();
  EXPECT_TRUE(first->Await().ok() && patient->Await().ok());
}

TEST_F(TakingTurnsTest, ABatchRunsWhereItWasReadOnlyIfItIsItsTurn) {
  quiet_model_->FinishAll();
  model_->FinishOne();
  EXPECT_TRUE(running_->Await().ok());
  EXPECT_TRUE(Submit(1)->Await().ok());  // Now it is known to be short.
  while (batcher_->counters().busy_instances > 0) std::this_thread::yield();
  std::shared_ptr<Answer> here, elsewhere;
  {
    WaitingThread thread;
    here = Submit(1);
    EXPECT_TRUE(thread.has_work());
    thread.Run();
    EXPECT_EQ(here->times(), 1);
    running_ = SubmitToFlood();
    model_->AwaitBatches(2);
    elsewhere = Submit(1);
    EXPECT_TRUE(thread.has_work());
    thread.Run();
  }
  AwaitWaiting(1);
  EXPECT_EQ(elsewhere->times(), 0);
  model_->FinishOne();
  EXPECT_TRUE(elsewhere->Await().ok());
}

}  // namespace
}  // namespace calserve
