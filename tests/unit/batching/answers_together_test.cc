#include <memory>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/base/tcp_pair.h"
#include "tests/unit/batching/batcher_fixture.h"

namespace calserve {
namespace {

using ::testing::ElementsAre;

class AnswersTogetherTest : public BatcherTest {
 protected:
  // A task that answers one byte on `pair`, and says how many wait in the kernel then.
  std::shared_ptr<Answer> SubmitTo(const TcpPair& pair, std::vector<int>& unsent) {
    auto answer = std::make_shared<Answer>();
    BatchTask task;
    task.rows = 1;
    task.input = {kZeroRow};
    task.done = [answer, &pair, &unsent](absl::StatusOr<BatchResult> result) {
      SendMessage(pair.writer(), "x");
      unsent.push_back(pair.unsent());
      answer->Give(std::move(result));
    };
    batcher_->Schedule(std::move(task));
    return answer;
  }
};

TEST_F(AnswersTogetherTest, OfABatchOnOneConnectionAreSentInOnePiece) {
  Start();
  std::vector<int> unsent;
  // The kernel holds bytes back for 200 ms: a machine that stands still so long gets another chance.
  for (int tries = 0; tries < 10 && unsent != std::vector<int>{1, 2, 3}; ++tries) {
    unsent.clear();
    const TcpPair pair;
    const std::shared_ptr<Answer> occupying = OccupyAnInstance();
    std::vector<std::shared_ptr<Answer>> answers;
    for (int i = 0; i < 3; ++i) answers.push_back(SubmitTo(pair, unsent));
    model_->FinishOne();
    model_->FinishOne();
    for (const auto& answer : answers) EXPECT_TRUE(answer->Await().ok());
    EXPECT_EQ(pair.Read(3), "xxx");
  }
  EXPECT_THAT(unsent, ElementsAre(1, 2, 3));
}

TEST_F(AnswersTogetherTest, ALoneAnswerIsSentAtOnce) {
  Start();
  model_->FinishAll();
  const TcpPair pair;
  std::vector<int> unsent;
  EXPECT_TRUE(SubmitTo(pair, unsent)->Await().ok());
  EXPECT_THAT(unsent, ElementsAre(0));
}

}  // namespace
}  // namespace calserve
